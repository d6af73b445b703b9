/** An app over an engine that a test drives by hand. */
import { PictureReader } from "../../src/image/read.ts";
import { PictureWriter } from "../../src/image/write.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { Log } from "../../src/server/log.ts";
import { Queue } from "../../src/server/queue.ts";
import { UploadReader } from "../../src/server/upload.ts";
import { FakeEngine } from "./fake_engine.ts";

export interface ServeOptions extends Partial<AppOptions> {
  capacity?: number;
}

/** To be disposed of. `send` asks the app, with a body of JSON where one is given. */
export function serve({ capacity = 8, ...options }: ServeOptions = {}) {
  const engine = new FakeEngine();
  const queue = new Queue({ capacity, sharing: options.batching });
  const pictures = new PictureReader();
  const writer = new PictureWriter();
  const uploads = new UploadReader();
  const logged: string[] = [];
  const app = createApp(engine, {
    queue,
    uploads,
    pictures,
    writer,
    log: new Log({ level: "error", write: (_, line) => void logged.push(line) }),
    ...options,
  });
  const send = (method: string, path: string, body?: unknown, { headers, ...init }: RequestInit = {}) => {
    const json = body !== undefined && typeof body !== "string" && !(body instanceof FormData);
    return Promise.resolve(app.request(path, {
      method,
      headers: { ...(json && { "content-type": "application/json" }), ...headers as Record<string, string> },
      body: json ? JSON.stringify(body) : body as BodyInit | undefined,
      ...init,
    }));
  };
  return {
    app,
    engine,
    queue,
    uploads,
    pictures,
    logged,
    send,
    [Symbol.dispose]() {
      pictures[Symbol.dispose]();
      uploads[Symbol.dispose]();
      writer[Symbol.dispose]();
    },
  };
}

/** The error of an answer, with its status. */
export async function errorOf(response: Response) {
  const { error } = await response.json();
  return { status: response.status, ...error as { message: string; type: string; param: string; code: string } };
}

/** A moment for what is under way to get on. */
export function moment(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
