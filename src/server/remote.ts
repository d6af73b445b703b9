/**
 * Pictures that a request names by their address, where that is allowed: a name is resolved first, every address that it
 * stands for has to be public, and the connection goes to that very address, so that a second answer of the name's server
 * changes nothing; and all of it again at each redirect.
 */
import { lookup } from "node:dns/promises";
import { RequestError, show } from "../engine/fields.ts";
import { fileFields, isAddress } from "../engine/request.ts";
import { version } from "../engine/version.ts";
import { PictureError, type PictureField } from "../image/read.ts";
import { concat } from "../png/chunk.ts";
import { isPublicAddress } from "./public_address.ts";
import { Refusal } from "./refusal.ts";
import { maxBodyBytes } from "./upload.ts";

export interface RemoteOptions {
  /** The addresses of a name, best first. */
  resolve?: (name: string) => Promise<string[]>;
  /** Whether an address and port may be connected to. */
  allows?: (address: string, port: number) => boolean;
  /** How long one picture may take, redirects included. */
  deadlineMs?: number;
  /** Largest file. */
  maxBytes?: number;
}

/** Whose request it is for. */
export interface Fetching {
  /** Counts bytes that are held for the request. @throws Refusal where all requests together hold too many */
  grow: (bytes: number) => void;
  /** Fires when the client leaves. */
  signal: AbortSignal;
}

const maxRedirects = 5, longestAddress = 2048;
/** Pictures that are fetched at once. */
const maxAtOnce = 16;
const usualPorts: Record<string, number> = { "http:": 80, "https:": 443 };

/** Fetches pictures by their addresses. */
export class RemotePictures {
  readonly #options: Required<RemoteOptions>;
  #running = 0;

  constructor(
    { resolve = resolveName, allows = isPublic, deadlineMs = 10_000, maxBytes = maxBodyBytes }: RemoteOptions = {},
  ) {
    this.#options = { resolve, allows, deadlineMs, maxBytes };
  }

  /** Puts pictures in the place of their addresses. @throws RequestError, PictureError or Refusal */
  async fill(fields: Map<string, unknown>, fetching: Fetching): Promise<void> {
    for (const name of fileFields) {
      const value = fields.get(name);
      if (typeof value === "string" && isAddress(value)) fields.set(name, await this.#fetch(name, value, fetching));
    }
  }

  async #fetch(field: PictureField, address: string, { grow, signal }: Fetching): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#running >= maxAtOnce) {
      const message = "Too many pictures are being fetched at once, a few seconds from now would do";
      throw new Refusal("too_many_uploads", message, { "retry-after": "5" });
    }
    const late = AbortSignal.timeout(this.#options.deadlineMs);
    this.#running++;
    try {
      const ended = AbortSignal.any([signal, late]);
      let url = this.#parse(field, address);
      for (let redirects = 0; redirects <= maxRedirects; redirects++) {
        using visit = await this.#visit(field, url, ended);
        const { response } = visit, to = response.headers.get("location");
        if (response.status < 300 || response.status > 399 || to === null) {
          return await this.#read(field, url, response, grow);
        }
        await response.body?.cancel();
        url = this.#parse(field, URL.parse(to, url)?.href ?? to);
      }
      throw wrong(field, address, `redirects more than ${maxRedirects} times`);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (late.aborted) throw wrong(field, address, `takes more than ${this.#options.deadlineMs / 1000} s`);
      throw error;
    } finally {
      this.#running--;
    }
  }

  #parse(field: PictureField, address: string): URL {
    const url = address.length <= longestAddress ? URL.parse(address) : null;
    if (!url) throw wrong(field, address, "is none");
    if (!(url.protocol in usualPorts)) throw wrong(field, address, "is not of http or https");
    if (url.username !== "" || url.password !== "") throw wrong(field, address, "holds a password");
    return url;
  }

  /** The answer of an address that was checked, from a connection to it; to be disposed of. */
  async #visit(field: PictureField, url: URL, signal: AbortSignal): Promise<{ response: Response } & Disposable> {
    const { resolve, allows } = this.#options;
    const name = url.hostname.replace(/^\[|\]$/g, ""), port = Number(url.port) || usualPorts[url.protocol];
    const addresses = await before(signal, resolve(name)).catch((error) => {
      signal.throwIfAborted();
      throw error instanceof Error && "code" in error ? wrong(field, url.href, "has a name that is not found") : error;
    });
    // One that is not public among others is no accident.
    if (addresses.length === 0 || !addresses.every((each) => allows(each, port))) {
      throw wrong(field, url.href, "is not public, or of another port than http's or https's");
    }
    for (const hostname of addresses) {
      const client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port } });
      try {
        const headers = {
          accept: "image/png, image/jpeg, image/webp",
          "accept-encoding": "identity",
          "user-agent": `stable-diffusion/${version}`,
        };
        const response = await fetch(url, { client, redirect: "manual", signal, headers });
        return { response, [Symbol.dispose]: () => client.close() };
      } catch (error) {
        client.close();
        signal.throwIfAborted();
        if (!(error instanceof TypeError)) throw error; // nobody there: perhaps at the next
      }
    }
    throw wrong(field, url.href, "does not answer");
  }

  async #read(field: PictureField, url: URL, response: Response, grow: (bytes: number) => void) {
    const { maxBytes } = this.#options, type = response.headers.get("content-type") ?? "";
    const refuse = async (error: Error) => {
      await response.body?.cancel();
      return error;
    };
    if (!response.ok) throw await refuse(wrong(field, url.href, `answers with status ${response.status}`));
    if (!/^(image\/|application\/octet-stream|$)/i.test(type)) {
      const message = `What is at ${show(url.href)} is of type ${show(type)}, a picture would do`;
      throw await refuse(new PictureError("unsupported", message, field));
    }
    const tooBig = () =>
      new PictureError(
        "too_big",
        `What is at ${show(url.href)} has more than ${maxBytes >> 20} MiB, a smaller picture would do`,
        field,
      );
    if (Number(response.headers.get("content-length")) > maxBytes) throw await refuse(tooBig());
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const piece of response.body ?? []) {
      if ((length += piece.length) > maxBytes) throw tooBig();
      grow(piece.length);
      pieces.push(piece);
    }
    return concat(pieces);
  }
}

function isPublic(address: string, port: number): boolean {
  return Object.values(usualPorts).includes(port) && isPublicAddress(address);
}

async function resolveName(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

/** What `promise` resolves with, unless the signal fires first. */
async function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}

/** The address is told as it was given, never as what it was resolved to. */
function wrong(field: string, address: string, what: string): RequestError {
  return new RequestError(
    field,
    `Field ${field}: the address ${show(address)} ${what}, that of a public picture would do`,
  );
}
