/** `/`: a page on which pictures are made in a browser. Its files lie beside this one and are served as they are. */
import { createHash } from "node:crypto";
import { Hono } from "hono";
import { matches } from "../etag.ts";
import type { Env } from "../surface.ts";

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** The files by the paths they are served at. */
export const pageFiles: Readonly<Record<string, string>> = {
  "/": "index.html",
  ...Object.fromEntries(
    [
      "style.css",
      "controls.css",
      "icon.svg",
      "main.js",
      "api.js",
      "form.js",
      "gallery.js",
      "mask.js",
      "picture.js",
      "progress.js",
      "queue.js",
      "store.js",
    ].map((name) => [`/page/${name}`, name]),
  ),
};

/** What the page may do: take everything from this server, and show pictures that it holds itself. */
export const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Whether a path is the page's own, which nobody needs a key for: it asks for one itself. */
export function isPage(path: string): boolean {
  return Object.hasOwn(pageFiles, path);
}

/** The routes of the page. Browsers keep the files and ask whether they are still the same. */
export function pageRoutes(): Hono<Env> {
  const app = new Hono<Env>();
  for (const [path, name] of Object.entries(pageFiles)) {
    const text = Deno.readTextFileSync(new URL(name, import.meta.url));
    const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 32)}"`;
    const headers = {
      "content-type": types[name.split(".").at(-1)!],
      "content-security-policy": pagePolicy,
      "cache-control": "no-cache",
      etag,
    };
    app.get(path, (c) => {
      const kept = matches(c.req.header("if-none-match"), etag);
      return kept ? c.body(null, 304, headers) : c.body(text, 200, headers);
    });
  }
  return app;
}
