/** The hub as this project needs it: what a model's repository holds at one commit, and the bytes of its files. */
import { listFiles, modelInfo } from "@huggingface/hub";
import { HubError, Interruption } from "./error.ts";

/** Where models are published, unless HF_ENDPOINT says otherwise. */
export const publicEndpoint = "https://huggingface.co";

/** A file of a repository. */
export interface HubFile {
  /** Its path in the repository, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** What its content must hash to: a large file its SHA-256, a small one the SHA-1 that git gives it as a blob. */
  readonly hash: { readonly kind: "sha256" | "gitBlob"; readonly hex: string };
}

/** A model's repository at one commit. */
export interface Repository {
  /** `owner/name`. */
  readonly name: string;
  /** The commit's hash, so that a branch that moves meanwhile mixes nothing. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** Statuses of a server that may answer otherwise in a moment. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];
const REDIRECTS = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 10;
/** No server is waited for longer than this, whatever it asks for. */
const MOST_AFTER_MS = 5 * 60_000;

/** One hub, asked with one token or with none. */
export class Hub {
  /** The hub's address, without a slash at its end. */
  readonly endpoint: string;
  readonly #token?: string;

  /** @throws {HubError} where `endpoint` is no address of a web server. */
  constructor({ endpoint = publicEndpoint, token }: { endpoint?: string; token?: string } = {}) {
    if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
      throw new HubError(`Cannot use HF_ENDPOINT ${JSON.stringify(endpoint)}, ${publicEndpoint} would do`);
    }
    this.endpoint = endpoint.replace(/\/+$/, "");
    this.#token = token;
  }

  /**
   * What the repository `name` holds at `revision`: a branch, a tag or a commit.
   * @throws {HubError} where there is none, or it is not open to this token
   * @throws {Interruption}
   */
  async open(name: string, revision: string): Promise<Repository> {
    // The token is not given to the library, which takes only those of the public hub, but added in #send().
    const shared = { hubUrl: this.endpoint, fetch: this.#fetchFor(name, revision) };
    const { sha: commit } = await modelInfo({ ...shared, name, revision, additionalFields: ["sha"] });
    if (!/^[0-9a-f]{40}$/.test(commit)) {
      throw new HubError(`Cannot pull ${name}: ${this.endpoint} names no commit, another HF_ENDPOINT would do`);
    }
    const files: HubFile[] = [];
    for await (
      const { type, path, size, oid, lfs } of listFiles({ ...shared, repo: name, recursive: true, revision: commit })
    ) {
      if (type !== "file") continue;
      const hash = lfs ? { kind: "sha256", hex: lfs.oid } as const : { kind: "gitBlob", hex: oid ?? "" } as const;
      files.push({ path, bytes: lfs?.size ?? size, hash });
    }
    return { name, commit, files };
  }

  /**
   * A file of a repository, from the byte `begin` on where that is given; `etag` asks for all of it where it has changed.
   * The status is 200, 206 or 416.
   * @throws {HubError} where it is not there or not open to this token
   * @throws {Interruption}
   */
  async file(
    { name, commit }: Repository,
    path: string,
    { begin = 0, etag, signal }: { begin?: number; etag?: string; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    // Compressed, a file would have neither its length nor its ranges.
    const headers = new Headers({ "accept-encoding": "identity" });
    if (begin > 0) {
      headers.set("range", `bytes=${begin}-`);
      if (etag) headers.set("if-range", etag);
    }
    const response = await this.#send(`${this.endpoint}/${name}/resolve/${commit}/${encoded}`, { headers, signal });
    if (response.ok || response.status === 416) return response;
    throw await this.#refusal(response, name, commit, path);
  }

  #fetchFor(name: string, revision: string): typeof fetch {
    return async (input, init) => {
      const response = await this.#send(`${input}`, init ?? {});
      if (response.ok) return response;
      throw await this.#refusal(response, name, revision);
    };
  }

  /** Follows redirects by itself: the token goes to the endpoint and to no other server. */
  async #send(address: string, init: RequestInit): Promise<Response> {
    for (let url = new URL(address), hops = 0; hops <= MOST_REDIRECTS; hops++) {
      const headers = new Headers(init.headers);
      if (this.#token && url.origin === new URL(this.endpoint).origin) {
        headers.set("authorization", `Bearer ${this.#token}`);
      }
      const response = await reach(url, { ...init, headers, redirect: "manual" });
      const location = response.headers.get("location");
      if (!REDIRECTS.includes(response.status) || location === null) return response;
      await response.body?.cancel();
      url = new URL(location, url);
    }
    throw new Interruption(`${this.endpoint} redirects without end`);
  }

  /** What a status that is no success means; hubs name the case in a header. */
  async #refusal(response: Response, name: string, revision: string, path?: string): Promise<Error> {
    await response.body?.cancel();
    const { status, headers } = response, code = headers.get("x-error-code") ?? "";
    if (PASSING.includes(status)) {
      const seconds = Number(headers.get("retry-after") ?? NaN);
      const afterMs = seconds >= 0 ? Math.min(1000 * seconds, MOST_AFTER_MS) : undefined;
      const what = status === 429 ? "allows no more requests for now" : `answers with status ${status}`;
      return new Interruption(`${this.endpoint} ${what}`, { afterMs });
    }
    const cannot = `Cannot pull ${name}: `, page = `${this.endpoint}/${name}`;
    if (code === "GatedRepo" || (status === 403 && code !== "RepoNotFound")) {
      const who = this.#token ? "the account of HF_TOKEN is not let in" : "its owner lets in only whom they know";
      const token = this.#token ? "once it is" : "with that account's HF_TOKEN";
      return new HubError(`${cannot}${who}, agreeing to the conditions on ${page} and pulling again ${token} would do`);
    }
    if (code === "RevisionNotFound") {
      return new HubError(`${cannot}it has no revision ${JSON.stringify(revision)}, a branch, tag or commit would do`);
    }
    if (code === "EntryNotFound" || (status === 404 && path !== undefined)) {
      return new HubError(`${cannot}it has no file ${path}, another of its files would do`);
    }
    if (status === 401 && this.#token) {
      const private_ = "there is no such model, or the account of HF_TOKEN may not see it";
      return new HubError(`${cannot}${private_}, another name or token would do`);
    }
    if (status === 401 || status === 404) {
      const hint = this.#token ? "another name would do" : "another name, or HF_TOKEN for a private one, would do";
      return new HubError(`${cannot}there is no such model at ${this.endpoint}, ${hint}`);
    }
    return new HubError(`${cannot}${this.endpoint} answers with status ${status}, trying later would do`);
  }
}

/** `fetch()`; what it throws, but for an abort's own reason, becomes an Interruption that names the server. */
async function reach(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (error instanceof Interruption || !(error instanceof Error)) throw error;
    throw new Interruption(`${url.origin} cannot be reached: ${reasonOf(error)}`, { cause: error });
  }
}

/** The innermost cause, which says what happened; the outer ones repeat the whole address. */
function reasonOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? reasonOf(cause) : error.message.split(": ").at(-1) ?? error.name;
}
