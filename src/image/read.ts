/** Pictures that clients send, as pixels: decoded in a Worker without permissions, within limits and a deadline. */
import { compileCodec } from "./codec.ts";
import { jpegDecoderUrl } from "./jpeg.ts";
import { PictureError } from "./picture.ts";
import type { Preparation, Prepared } from "./prepare.ts";
import type { Codecs, FromDecoder, ToDecoder } from "./protocol.ts";
import { webpDecoderUrl } from "./webp.ts";

export { limits, type Mask, type Picture, PictureError, type PictureField, type Refusal } from "./picture.ts";
export type { Overlay } from "./overlay.ts";
export type { Borders, InpaintPreparation, Preparation, Prepared } from "./prepare.ts";
export type { Fit } from "./resize.ts";

/** The files of one request. */
export interface PictureFiles {
  picture: Uint8Array<ArrayBuffer>;
  mask?: Uint8Array<ArrayBuffer>;
}

/** Decodes one file at a time, in a Worker that is replaced when it fails or takes too long. */
export class PictureReader implements Disposable {
  readonly #deadlineMs: number;
  #worker?: Worker;
  #codecs?: Promise<Codecs>;
  /** Settles when every file handed in so far is done with. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ deadlineMs = 10_000 } = {}) {
    this.#deadlineMs = deadlineMs;
  }

  /**
   * The RGB pixels, [height, width, 3], of a PNG, JPEG or WebP file, turned as its EXIF asks and stretched to the size.
   * `file` is transferred: its buffer is empty afterwards.
   *
   * @throws PictureError, or the signal's reason when it fires before the decoding starts
   */
  async read(
    file: Uint8Array<ArrayBuffer>,
    { width, height, signal }: { width: number; height: number; signal?: AbortSignal },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const how: Preparation = { width, height, resizeMode: "stretch", multiple: 1 };
    return (await this.prepare({ picture: file }, how, { signal })).picture.pixels;
  }

  /**
   * What a pipeline starts from, of PNG, JPEG or WebP files turned as their EXIF asks; see `Preparation`. The files are
   * transferred: their buffers are empty afterwards.
   *
   * @throws PictureError, or the signal's reason when it fires before the decoding starts
   */
  prepare(files: PictureFiles, how: Preparation, { signal }: { signal?: AbortSignal } = {}): Promise<Prepared> {
    const answer = this.#last.then(async () => {
      const worker = await this.#started();
      signal?.throwIfAborted();
      return await this.#ask({ type: "prepare", ...files, how }, worker);
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Starts the Worker now, so that the first file need not wait for it. */
  async start(): Promise<void> {
    await this.#started();
  }

  async #started(): Promise<Worker> {
    this.#codecs ??= loadCodecs().catch((error) => {
      this.#codecs = undefined; // the next file may find what was missing
      throw error;
    });
    const codecs = await this.#codecs;
    if (this.#worker) return this.#worker;
    const worker = this.#worker = startWorker(codecs);
    worker.onerror = (event) => {
      event.preventDefault(); // without a file to refuse it would end the process
      if (worker === this.#worker) this[Symbol.dispose]();
    };
    return worker;
  }

  #ask(message: Extract<ToDecoder, { type: "prepare" }>, worker: Worker): Promise<Prepared> {
    const { promise, resolve, reject } = Promise.withResolvers<Prepared>();
    const abandon = (error: PictureError) => {
      this[Symbol.dispose]();
      reject(error);
    };
    const timer = setTimeout(() => {
      const message = `Cannot read the picture: it takes more than ${
        this.#deadlineMs / 1000
      } s, a smaller one would do`;
      abandon(new PictureError("too_slow", message));
    }, this.#deadlineMs);
    worker.onmessage = ({ data: answer }: MessageEvent<FromDecoder>) => {
      if (answer.type === "prepared") resolve(answer.prepared);
      else reject(new PictureError(answer.refusal, answer.message, answer.field));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      abandon(new PictureError("damaged", `Cannot read the picture: its decoder failed (${event.message})`));
    };
    const { picture, mask } = message;
    worker.postMessage(message, [...new Set([picture, mask].flatMap((file) => file ? [file.buffer] : []))]);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Ends the Worker; a later `read()` starts another. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

async function loadCodecs(): Promise<Codecs> {
  const [jpeg, webp] = await Promise.all([jpegDecoderUrl, webpDecoderUrl].map(compileCodec));
  return { jpeg, webp };
}

function startWorker(codecs: Codecs): Worker {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "pictures",
    deno: { permissions: "none" },
  });
  worker.postMessage({ type: "start", codecs } satisfies ToDecoder);
  return worker;
}
