/**
 * What clients send, as fields: bodies are read within limits of size, time and memory, and large ones are parsed in a
 * Worker without permissions, since some bodies of 16 MiB take seconds.
 */
import { RequestError } from "../engine/fields.ts";
import { concat } from "../png/chunk.ts";
import { type Entry, parseBody } from "./body.ts";
import type { FromParser, ToParser } from "./body_protocol.ts";
import { Refusal } from "./refusal.ts";

/** Largest body that is read. */
export const maxBodyBytes = 16 << 20;
/** Largest body that is parsed in place: none takes longer than some milliseconds. */
const maxInPlaceBytes = 32 << 10;
/** How long the Worker may take for one body. */
const parseDeadlineMs = 20_000;

/** A request's fields, and its body's share of the memory for bodies until it is disposed of. */
export interface Upload extends Disposable {
  /**
   * Every field by its name: text from a query or form, bytes for a file, JSON values as they are. A field that is given
   * more than once is an array, which no parser accepts.
   */
  readonly fields: Map<string, unknown>;
  /** Counts further bytes that are held for the request with those of its body. @throws Refusal */
  readonly grow: (bytes: number) => void;
}

export class UploadReader implements Disposable {
  readonly #idleMs: number;
  readonly #maxHeldBytes: number;
  #heldBytes = 0;
  #worker?: Worker;
  /** Settles when every body handed to the Worker so far is done with. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param options.idleMs how long a client may send nothing in the middle of its body
   * @param options.maxHeldBytes how much of all bodies together is held
   */
  constructor({ idleMs = 30_000, maxHeldBytes = 128 << 20 } = {}) {
    this.#idleMs = idleMs;
    this.#maxHeldBytes = maxHeldBytes;
  }

  /** Bytes of bodies held now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * The fields of a request's query and, for POST, of its body; `untyped` is what a body is that does not say so.
   *
   * @throws Refusal or RequestError
   */
  async read(request: Request, { untyped = "" } = {}): Promise<Upload> {
    const fields = new Map<string, unknown[]>();
    const add = ([name, value]: Entry) => {
      const values = fields.get(name);
      if (values) values.push(value);
      else fields.set(name, [value]);
    };
    new URL(request.url).searchParams.forEach((value, name) => add([name, value]));
    using share = this.#share();
    if (request.method === "POST") (await this.#readBody(request, share.grow, untyped)).forEach(add);
    const release = share.keep();
    return {
      fields: new Map(Array.from(fields, ([name, values]) => [name, values.length === 1 ? values[0] : values])),
      grow: share.grow,
      [Symbol.dispose]: release,
    };
  }

  /** A request's body as it is, for what is neither JSON nor a form. @throws Refusal */
  async readBytes(request: Request): Promise<{ readonly bytes: Uint8Array<ArrayBuffer> } & Omit<Upload, "fields">> {
    using share = this.#share();
    const bytes = concat(await this.#readPieces(request, share.grow));
    return { bytes, grow: share.grow, [Symbol.dispose]: share.keep() };
  }

  /** Starts the Worker now, so that the first large body need not wait for it. */
  start(): void {
    this.#started();
  }

  #started(): Worker {
    if (this.#worker) return this.#worker;
    const worker = this.#worker = new Worker(new URL("./body_worker.ts", import.meta.url), {
      type: "module",
      name: "bodies",
      deno: { permissions: "none" },
    });
    worker.onerror = (event) => {
      event.preventDefault(); // without a body to refuse it would end the process
      if (worker === this.#worker) this[Symbol.dispose]();
    };
    return worker;
  }

  /** Ends the Worker; a later `read()` starts another. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  /** One body's part of the bytes held, given back at the end of its scope unless it is kept. */
  #share() {
    let bytes = 0;
    const release = () => {
      this.#heldBytes -= bytes;
      bytes = 0;
    };
    let end = release;
    return {
      /** @throws Refusal where all bodies together have grown too large */
      grow: (by: number) => {
        if (this.#heldBytes + by > this.#maxHeldBytes) {
          const message = "Too many large bodies are being sent at once, a few seconds from now would do";
          throw new Refusal("too_many_uploads", message, { "retry-after": "5" });
        }
        this.#heldBytes += by;
        bytes += by;
      },
      /** What gives it back later. */
      keep: () => {
        end = () => {};
        return release;
      },
      [Symbol.dispose]: () => end(),
    };
  }

  async #readBody(request: Request, grow: (bytes: number) => void, untyped: string): Promise<Entry[]> {
    const type = request.headers.get("content-type") ?? untyped;
    const pieces = await this.#readPieces(request, grow);
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length === 0) return [];
    return length > maxInPlaceBytes ? await this.#parseApart({ pieces, type }) : parseBody(concat(pieces), type);
  }

  /** The body, as long as it keeps within the limits; what comes after it is not read. */
  async #readPieces(request: Request, grow: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>[]> {
    const message = `The body has more than ${maxBodyBytes >> 20} MiB, a smaller one would do`;
    if (Number(request.headers.get("content-length")) > maxBodyBytes) throw new Refusal("body_too_large", message);
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const piece of withDeadline(request.body, this.#idleMs)) {
      length += piece.length;
      if (length > maxBodyBytes) throw new Refusal("body_too_large", message);
      grow(piece.length);
      // A piece with a buffer of its own can be handed to the Worker without a copy.
      pieces.push(piece.length === piece.buffer.byteLength ? piece : piece.slice());
    }
    return pieces;
  }

  /** What `parseBody()` makes of it, in the Worker; one body at a time. */
  #parseApart(body: ToParser): Promise<Entry[]> {
    const answer = this.#last.then(() => this.#ask(body));
    this.#last = answer.catch(() => {});
    return answer;
  }

  #ask(body: ToParser): Promise<Entry[]> {
    const worker = this.#started();
    const { promise, resolve, reject } = Promise.withResolvers<Entry[]>();
    const abandon = (reason: string) => {
      this[Symbol.dispose]();
      reject(new Refusal("malformed_body", `The body cannot be read: ${reason}, a smaller one would do`));
    };
    const timer = setTimeout(() => abandon(`it takes more than ${parseDeadlineMs / 1000} s`), parseDeadlineMs);
    worker.onmessage = ({ data: answer }: MessageEvent<FromParser>) => {
      switch (answer.type) {
        case "fields":
          return resolve(answer.entries);
        case "refused":
          return reject(new Refusal(answer.code, answer.message));
        case "wrong":
          return reject(new RequestError(answer.field, answer.message));
        default:
          answer satisfies never;
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      abandon(`its parser failed (${event.message})`);
    };
    worker.postMessage(body, body.pieces.map(({ buffer }) => buffer));
    return promise.finally(() => clearTimeout(timer));
  }
}

/** A body breaks off with its connection and for no other reason, in the words of whatever read it. */
function left(): never {
  throw new DOMException("The client left in the middle of its body", "AbortError");
}

/** The pieces of a body. @throws Refusal when the next one takes more than `idleMs`; AbortError when its client is gone */
async function* withDeadline(body: ReadableStream<Uint8Array<ArrayBuffer>> | null, idleMs: number) {
  if (!body) return;
  const reader = body.getReader();
  let refuse: (error: Refusal) => void = () => {};
  const message = `Nothing of the body has come for ${idleMs / 1000} s, sending it without a pause would do`;
  const late = new Promise<never>((_, reject) => refuse = reject);
  late.catch(() => {}); // most bodies are in time
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    while (true) {
      timer = setTimeout(() => refuse(new Refusal("upload_too_slow", message, { connection: "close" })), idleMs);
      const { done, value } = await Promise.race([reader.read().catch(left), late]);
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // what is left of it is nobody's
  }
}
