/**
 * Pictures that a request names by their address, where that is allowed: a name is resolved first, every address that it
 * stands for has to be public, and the connection goes to that very address, so that a second answer of the name's server
 * changes nothing; and all of it again at each redirect.
 */
import { lookup } from "node:dns/promises";
import type { IncomingMessage } from "node:http";
import { RequestError, show } from "../engine/fields.ts";
import { fileFields, isAddress } from "../engine/request.ts";
import { version } from "../engine/version.ts";
import { PictureError, type PictureField } from "../image/read.ts";
import { concat } from "../png/chunk.ts";
import { before } from "./before.ts";
import { getPinned } from "./pinned.ts";
import { isPublicAddress } from "./public_address.ts";
import { Refusal } from "./refusal.ts";
import { maxBodyBytes } from "./upload.ts";

export interface RemoteOptions {
  /** The addresses of a name, best first. */
  resolve?: (name: string) => Promise<string[]>;
  /** Whether an address and port may be connected to. */
  allows?: (address: string, port: number) => boolean;
  /** Certificates, as PEM, that servers' have to come from, in the place of Deno's own. */
  authorities?: string;
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
  readonly #options: Required<Omit<RemoteOptions, "authorities">> & Pick<RemoteOptions, "authorities">;
  #running = 0;

  constructor(options: RemoteOptions = {}) {
    const { resolve = resolveName, allows = isPublic, deadlineMs = 10_000, maxBytes = maxBodyBytes } = options;
    this.#options = { ...options, resolve, allows, deadlineMs, maxBytes };
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
    const place = new Place(field, address), late = AbortSignal.timeout(this.#options.deadlineMs);
    this.#running++;
    try {
      return await this.#follow(place, AbortSignal.any([signal, late]), grow);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (late.aborted) throw place.wrong(`takes more than ${this.#options.deadlineMs / 1000} s`);
      throw error;
    } finally {
      this.#running--;
    }
  }

  /** The picture at a place, or at one that it redirects to. */
  async #follow(given: Place, signal: AbortSignal, grow: Fetching["grow"]): Promise<Uint8Array<ArrayBuffer>> {
    let place = given;
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      const response = await this.#visit(place, signal);
      try {
        const status = response.statusCode ?? 0, to = response.headers.location;
        if (status < 300 || status > 399 || to === undefined) return await this.#read(place, response, grow);
        place = place.to(to);
      } finally {
        response.destroy();
      }
    }
    throw given.wrong(`redirects more than ${maxRedirects} times`);
  }

  /** The answer of an address that was checked, from a connection to it; to be destroyed. */
  async #visit(place: Place, signal: AbortSignal): Promise<IncomingMessage> {
    const { resolve, allows, authorities } = this.#options, { url } = place;
    const name = url.hostname.replace(/^\[|\]$/g, ""), port = Number(url.port) || usualPorts[url.protocol];
    const addresses = await before(signal, resolve(name)).catch((error) => {
      signal.throwIfAborted();
      throw error instanceof Error && "code" in error ? place.wrong("has a name that is not found") : error;
    });
    // One that is not public among others is no accident.
    if (addresses.length === 0 || !addresses.every((each) => allows(each, port))) {
      throw place.wrong("is not public, or of another port than http's or https's");
    }
    const headers = {
      accept: "image/png, image/jpeg, image/webp",
      "accept-encoding": "identity",
      "user-agent": `stable-diffusion/${version}`,
    };
    for (const address of addresses) {
      try {
        return await getPinned(url, { address, port, headers, authorities, signal });
      } catch {
        signal.throwIfAborted(); // else nobody there: perhaps at the next
      }
    }
    throw place.wrong(url.protocol === "https:" ? "does not answer with a valid certificate" : "does not answer");
  }

  async #read(place: Place, response: IncomingMessage, grow: Fetching["grow"]): Promise<Uint8Array<ArrayBuffer>> {
    const { maxBytes } = this.#options, { statusCode: status = 0, headers } = response;
    const type = headers["content-type"] ?? "", what = `What is at ${show(place.given)}`;
    if (status < 200 || status > 299) throw place.wrong(`answers with status ${status}`);
    if (!/^(image\/|application\/octet-stream|$)/i.test(type)) {
      throw new PictureError("unsupported", `${what} is of type ${show(type)}, a picture would do`, place.field);
    }
    const tooBig = () =>
      new PictureError(
        "too_big",
        `${what} has more than ${maxBytes >> 20} MiB, a smaller picture would do`,
        place.field,
      );
    if (Number(headers["content-length"]) > maxBytes) throw tooBig();
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const piece of piecesOf(place, response)) {
      if ((length += piece.length) > maxBytes) throw tooBig();
      grow(piece.length);
      pieces.push(piece);
    }
    return concat(pieces);
  }
}

/** Where a picture is, and how errors name it: by the address that was given, never by what that redirects to. */
class Place {
  readonly url: URL;

  /** @throws RequestError where `address` is none of http or https */
  constructor(readonly field: PictureField, readonly given: string, address = given, readonly redirected = false) {
    const url = address.length <= longestAddress ? URL.parse(address) : null;
    if (!url) throw this.wrong("is none");
    if (!(url.protocol in usualPorts)) throw this.wrong("is not of http or https");
    if (url.username !== "" || url.password !== "") throw this.wrong("holds a password");
    this.url = url;
  }

  /** The place that this one redirects to. @throws RequestError */
  to(location: string): Place {
    return new Place(this.field, this.given, URL.parse(location, this.url)?.href ?? location, true);
  }

  wrong(what: string): RequestError {
    const leads = this.redirected ? "redirects to one that " : "";
    const message = `Field ${this.field}: the address ${
      show(this.given)
    } ${leads}${what}, that of a public picture would do`;
    return new RequestError(this.field, message);
  }
}

/** The body, piece by piece. @throws RequestError where it ends too early */
async function* piecesOf(place: Place, response: IncomingMessage): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    yield* response;
  } catch {
    throw place.wrong("breaks off");
  }
}

function isPublic(address: string, port: number): boolean {
  return Object.values(usualPorts).includes(port) && isPublicAddress(address);
}

async function resolveName(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
