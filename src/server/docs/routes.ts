/** `/openapi.json` and `/docs`. */
import { createHash } from "node:crypto";
import { Hono } from "hono";
import { type Env, readyInfo, type Surface } from "../surface.ts";
import { openApi } from "./document.ts";
import { page, pageStyle } from "./page.ts";

/** The routes of the documentation, which is that of the model in use. */
export function docsRoutes({ engine, open }: Pick<Surface, "engine" | "open">): Hono<Env> {
  const app = new Hono<Env>();
  const styleHash = createHash("sha256").update(pageStyle).digest("base64");
  app.get("/openapi.json", (c) => c.json(openApi(readyInfo(engine), { keys: !open })));
  app.get("/docs", (c) => {
    c.header("content-security-policy", `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'`);
    return c.html(page(openApi(readyInfo(engine), { keys: !open })));
  });
  return app;
}
