/** Who may ask: keys, as bearer tokens or as the password of basic authentication. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { Refusal } from "./refusal.ts";
import type { Env } from "./surface.ts";

/** The keys that are valid, of which only digests are kept. */
export class KeyRing {
  readonly #digests: readonly Uint8Array[];

  constructor(keys: readonly string[]) {
    this.#digests = keys.map(digestOf);
  }

  /** Whose key it is: a name that says nothing of the key. It takes the same time whichever keys there are. */
  ownerOf(key: string): string | undefined {
    const digest = digestOf(key);
    let found = -1;
    for (const [i, known] of this.#digests.entries()) if (timingSafeEqual(known, digest)) found = i;
    return found < 0 ? undefined : this.#digests[found].slice(0, 9).toBase64({ alphabet: "base64url" });
  }

  get isEmpty(): boolean {
    return this.#digests.length === 0;
  }
}

/** Asks everybody for a key but on the paths that `isOpen`; whose it is becomes the context's `owner`. */
export function requireKey(keys: KeyRing, { isOpen }: { isOpen: (path: string) => boolean }): MiddlewareHandler<Env> {
  return async (c, next) => {
    // A browser asks what it may send before it sends a key.
    if (!keys.isEmpty && !isOpen(c.req.path) && c.req.method !== "OPTIONS") {
      const key = keyIn(c.req.header("authorization"));
      const owner = key === undefined ? undefined : keys.ownerOf(key);
      if (owner === undefined) {
        const found = key === undefined ? "The request has no key" : "The key is not known";
        const message = `${found}, Authorization: Bearer KEY or Basic with the key as password would do`;
        throw new Refusal("invalid_api_key", message, { "www-authenticate": 'Basic realm="stable-diffusion", Bearer' });
      }
      c.set("owner", owner);
    }
    await next();
  };
}

/** The key in an Authorization header. */
function keyIn(header: string | undefined): string | undefined {
  const [, scheme, value] = /^(bearer|basic)\s+(\S+)\s*$/i.exec(header ?? "") ?? [];
  if (scheme === undefined) return undefined;
  if (scheme.toLowerCase() === "bearer") return value;
  try {
    const text = new TextDecoder().decode(Uint8Array.fromBase64(value));
    return text.slice(text.indexOf(":") + 1);
  } catch {
    return undefined;
  }
}

function digestOf(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}
