/** A hub on this machine: the API of the real one as far as models are pulled through it, and large files on a second host. */
import { createHash } from "node:crypto";

/** A request as it arrived. */
export interface Seen {
  host: "hub" | "cdn";
  path: string;
  authorization: string | null;
  range: string | null;
  ifRange: string | null;
}

/** How the hub differs from one where all is well. */
export interface Faults {
  /** Answers a request in place of the hub; undefined leaves it to the hub. */
  answer?(seen: Seen, count: number): Response | undefined | Promise<Response | undefined>;
  /** Breaks the connection of a large file's request after so many bytes. */
  cutAfter?(seen: Seen): number | undefined;
  /** Sizes that the listing lies about. */
  sizes?: Record<string, number>;
  /** Large files whose bytes are not those that the listing names. */
  damaged?: string[];
}

export const commit = "c0ffee".padEnd(40, "0");

/** The hash that git gives a file's content. */
export function gitBlob(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What an error of the hub looks like. */
export function refusal(status: number, code?: string): Response {
  return Response.json({ error: "no" }, { status, headers: code ? { "x-error-code": code } : {} });
}

/** One repository, `owner/name`. */
export class FakeHub implements AsyncDisposable {
  readonly requests: Seen[] = [];
  readonly endpoint: string;
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #cdn: Deno.HttpServer<Deno.NetAddr>;
  /** Changes with what the CDN holds. */
  version = "1";

  constructor(readonly files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>, public faults: Faults = {}) {
    const serve = (host: Seen["host"], answer: (url: URL, seen: Seen) => Response) => {
      const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
      return Deno.serve(options, async (request) => {
        const url = new URL(request.url), { headers } = request;
        const seen: Seen = {
          host,
          path: decodeURIComponent(url.pathname),
          authorization: headers.get("authorization"),
          range: headers.get("range"),
          ifRange: headers.get("if-range"),
        };
        this.requests.push(seen);
        return await this.faults.answer?.(seen, this.requests.length) ?? answer(url, seen);
      });
    };
    this.#hub = serve("hub", (url, seen) => this.#api(url, seen));
    this.#cdn = serve("cdn", (url, seen) => this.#object(url, seen));
    this.endpoint = `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /** Requests of one file's bytes, in order. */
  of(host: Seen["host"], path: string): Seen[] {
    return this.requests.filter((seen) => seen.host === host && seen.path.endsWith(`/${path}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#hub.shutdown(), this.#cdn.shutdown()]);
  }

  #api(url: URL, { path }: Seen): Response {
    if (path === "/api/models/owner/name/revision/main" || path === `/api/models/owner/name/revision/${commit}`) {
      return Response.json({ _id: "1", id: "owner/name", sha: commit, private: false, gated: false, lastModified: 0 });
    }
    if (path.startsWith("/api/models/owner/name/revision/")) return refusal(404, "RevisionNotFound");
    if (path === `/api/models/owner/name/tree/${commit}`) return this.#tree(url);
    const start = `/owner/name/resolve/${commit}/`;
    if (!path.startsWith(start)) return refusal(401, "RepoNotFound");
    const name = path.slice(start.length), bytes = this.files[name];
    if (!bytes) return refusal(404, "EntryNotFound");
    if (!isLarge(name)) return new Response(bytes, { headers: { etag: `"${gitBlob(bytes)}"` } });
    const location = `http://127.0.0.1:${this.#cdn.addr.port}/objects/${name}`;
    return new Response(null, { status: 302, headers: { location, "x-linked-etag": `"${sha256(bytes)}"` } });
  }

  /** In two pages. */
  #tree(url: URL): Response {
    const entries = Object.entries(this.files).map(([path, bytes]) => {
      const size = this.faults.sizes?.[path] ?? bytes.length;
      const lfs = { oid: sha256(bytes), size, pointerSize: 130 };
      return isLarge(path)
        ? { type: "file", path, size, oid: gitBlob(new TextEncoder().encode("pointer")), lfs }
        : { type: "file", path, size, oid: gitBlob(bytes) };
    });
    const folders = new Set(
      Object.keys(this.files).filter((path) => path.includes("/")).map((path) => path.split("/")[0]),
    );
    const all = [...[...folders].map((path) => ({ type: "directory", path, size: 0, oid: "0" })), ...entries];
    const half = all.length >> 1;
    if (url.searchParams.has("cursor")) return Response.json(all.slice(half));
    url.searchParams.set("cursor", "2");
    return Response.json(all.slice(0, half), { headers: { link: `<${url}>; rel="next"` } });
  }

  #object(url: URL, seen: Seen): Response {
    const name = decodeURIComponent(url.pathname.slice("/objects/".length)), etag = `"${name}-${this.version}"`;
    let bytes = this.files[name];
    if (this.faults.damaged?.includes(name)) bytes = bytes.map((byte, i) => i === bytes.length >> 1 ? byte ^ 1 : byte);
    const from = seen.ifRange === null || seen.ifRange === etag
      ? Number(seen.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0)
      : 0;
    const headers = new Headers({ etag, "content-length": `${Math.max(0, bytes.length - from)}` });
    if (from >= bytes.length && from > 0) return new Response(null, { status: 416 });
    if (from > 0) headers.set("content-range", `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
    return new Response(pieces(bytes.subarray(from), this.faults.cutAfter?.(seen)), {
      status: from > 0 ? 206 : 200,
      headers,
    });
  }
}

/** What a hub keeps outside of git. */
function isLarge(path: string): boolean {
  return /\.(safetensors|bin|ckpt)$/.test(path);
}

/** A body in small pieces that breaks after `cut` bytes. */
function pieces(bytes: Uint8Array<ArrayBuffer>, cut = Infinity): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      const piece = bytes.slice(at, Math.min(at + 65_536, bytes.length, cut));
      at += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      if (at >= Math.min(bytes.length, cut)) controller.close(); // before its length has been sent, which breaks it
    },
  });
}
