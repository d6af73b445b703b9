/** `/v1/capabilities`: what a request may ask for here. */
import { Hono } from "hono";
import { samplerLabel, samplerNames, schedulerLabel, schedulerNames } from "../samplers/names.ts";
import { formats, mediaTypes } from "./delivery.ts";
import { requestProperties } from "./docs/schemas.ts";
import { type Env, infoOf, type Surface } from "./surface.ts";

/** The route; `?model=` asks of another model than the one in use. */
export function capabilityRoutes(surface: Pick<Surface, "engine" | "models" | "whyNoModel">): Hono<Env> {
  const app = new Hono<Env>();
  app.get("/", async (c) => {
    const asked = c.req.query("model");
    const info = await infoOf(surface, new Map(asked === undefined ? [] : [["model", asked]]));
    const { model, limits, adapter, precision } = info;
    return c.json({
      model,
      models: [...new Set([model.name, ...surface.models().map(({ name }) => name)])],
      limits,
      adapter,
      precision,
      samplers: samplerNames.map((name) => ({ name, label: samplerLabel(name) })),
      schedulers: schedulerNames.map((name) => ({ name, label: schedulerLabel(name) })),
      formats: formats.map((name) => ({ name, type: mediaTypes[name] })),
      fields: requestProperties(info),
    });
  });
  return app;
}
