/** Our pictures as JPEG or WebP: in a Worker without permissions, since it takes a core for a while. */
import { compileCodec } from "./codec.ts";
import { jpegEncoderUrl } from "./jpeg_encode.ts";
import type { Codecs } from "./protocol.ts";
import { webpEncoderUrl } from "./webp_encode.ts";

/** How a file is written. */
export interface Writing {
  format: "jpeg" | "webp";
  /** 1 to 100. */
  quality: number;
  /** The text in its EXIF. */
  comment: string;
}

/** The first message carries the codecs, every later one a PNG file to be written in another format. */
export type ToWriter =
  | { type: "start"; codecs: Codecs }
  | { type: "encode"; png: Uint8Array<ArrayBuffer>; how: Writing };

/** The file of each `encode`, in order. */
export interface FromWriter {
  file: Uint8Array<ArrayBuffer>;
}

/** Encodes one picture at a time; the Worker starts with the first. */
export class PictureWriter implements Disposable {
  #worker?: Promise<Worker>;
  /** Settles when every picture handed in so far is done with. */
  #last: Promise<unknown> = Promise.resolve();

  /** The picture of a PNG file of ours in another format. `png` is transferred. */
  write(png: Uint8Array<ArrayBuffer>, how: Writing): Promise<Uint8Array<ArrayBuffer>> {
    const answer = this.#last.then(async () => {
      this.#worker ??= startWorker().catch((error) => {
        this.#worker = undefined; // the next picture may find what was missing
        throw error;
      });
      const worker = await this.#worker;
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
      worker.onmessage = ({ data: { file } }: MessageEvent<FromWriter>) => resolve(file);
      worker.onerror = (event) => {
        event.preventDefault();
        this[Symbol.dispose]();
        reject(new Error(`Cannot write the ${how.format}: its encoder failed (${event.message}), a PNG would do`));
      };
      worker.postMessage({ type: "encode", png, how } satisfies ToWriter, [png.buffer]);
      return await promise;
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends the Worker; a later picture starts another. */
  [Symbol.dispose](): void {
    this.#worker?.then((worker) => worker.terminate(), () => {}); // whoever asked for it hears that it did not start
    this.#worker = undefined;
  }
}

async function startWorker(): Promise<Worker> {
  const [jpeg, webp] = await Promise.all([jpegEncoderUrl, webpEncoderUrl].map(compileCodec));
  const worker = new Worker(new URL("./write_worker.ts", import.meta.url), {
    type: "module",
    name: "writer",
    deno: { permissions: "none" },
  });
  worker.postMessage({ type: "start", codecs: { jpeg, webp } } satisfies ToWriter);
  return worker;
}
