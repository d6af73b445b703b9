/** Headers by which browsers keep pages of others away from the server's answers. */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { Refusal } from "./refusal.ts";
import type { Env } from "./surface.ts";

/** What pages of other origins may read, where they are named. */
const exposed = [
  "x-job-id",
  "x-seed",
  "x-request-id",
  "x-queue-ms",
  "x-truncated-tokens",
  "x-ignored-fields",
  "x-adapter",
  "server-timing",
  "retry-after",
  "location",
];

/** Lets pages of the origins named read the answers; "*" names all. Without any, none but the server's own may. */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<Env> {
  if (origins.length === 0) return (_, next) => next();
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "POST", "DELETE"],
    exposeHeaders: exposed,
    maxAge: 600,
  });
}

/** Refuses a request whose header Host makes no address of it: nothing behind has to think of that. */
export function requireHost(): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!URL.canParse(c.req.raw.url)) {
      const host = JSON.stringify(c.req.header("host")?.slice(0, 80) ?? "");
      throw new Refusal("malformed_host", `The header Host is ${host}, a name or address and perhaps a port would do`);
    }
    await next();
  };
}

/** No answer is taken for anything but what it says it is; what is no picture is shown in nobody's frame. */
export function secure(): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next();
    const { headers } = c.res;
    headers.set("x-content-type-options", "nosniff");
    headers.set("referrer-policy", "no-referrer");
    if (headers.get("content-type")?.startsWith("image/")) return;
    headers.set("x-frame-options", "DENY");
    if (!headers.has("content-security-policy")) {
      headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    }
  };
}
