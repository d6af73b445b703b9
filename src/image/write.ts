/** Our pictures as JPEG: in a Worker without permissions, since it takes a core for a while. */
import { encoderUrl } from "./jpeg_encode.ts";

/** The first message carries the codec, every later one a PNG file to be written as a JPEG. */
export type ToWriter =
  | { type: "start"; wasm: WebAssembly.Module }
  | { type: "encode"; png: Uint8Array<ArrayBuffer>; quality: number; comment: string };

/** The JPEG file of each `encode`, in order. */
export interface FromWriter {
  jpeg: Uint8Array<ArrayBuffer>;
}

/** Encodes one picture at a time; the Worker starts with the first. */
export class PictureWriter implements Disposable {
  #worker?: Promise<Worker>;
  /** Settles when every picture handed in so far is done with. */
  #last: Promise<unknown> = Promise.resolve();

  /** The JPEG of a PNG file of ours, of a quality from 1 to 100, with a text in its EXIF. `png` is transferred. */
  toJpeg(
    png: Uint8Array<ArrayBuffer>,
    { quality, comment }: { quality: number; comment: string },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const answer = this.#last.then(async () => {
      const worker = await (this.#worker ??= startWorker());
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
      worker.onmessage = ({ data: { jpeg } }: MessageEvent<FromWriter>) => resolve(jpeg);
      worker.onerror = (event) => {
        event.preventDefault();
        this[Symbol.dispose]();
        reject(new Error(`Cannot write the JPEG: its encoder failed (${event.message}), a PNG would do`));
      };
      worker.postMessage({ type: "encode", png, quality, comment } satisfies ToWriter, [png.buffer]);
      return await promise;
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends the Worker; a later picture starts another. */
  [Symbol.dispose](): void {
    this.#worker?.then((worker) => worker.terminate());
    this.#worker = undefined;
  }
}

async function startWorker(): Promise<Worker> {
  const wasm = await WebAssembly.compile(await Deno.readFile(new URL(encoderUrl)));
  const worker = new Worker(new URL("./write_worker.ts", import.meta.url), {
    type: "module",
    name: "writer",
    deno: { permissions: "none" },
  });
  worker.postMessage({ type: "start", wasm } satisfies ToWriter);
  return worker;
}
