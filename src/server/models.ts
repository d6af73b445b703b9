/** `/v1/models`: the models that there are, as OpenAI's clients ask for them. */
import { Hono } from "hono";
import type { ModelEntry } from "../engine/locate.ts";
import { Refusal } from "./refusal.ts";

/** A model as OpenAI's clients know one. */
interface Model {
  id: string;
  object: "model";
  /** Seconds since 1970. */
  created: number;
  owned_by: string;
}

export interface ModelRoutes {
  /** The models that have a name. */
  list: () => readonly ModelEntry[];
  /** The one that is on the GPU, which is listed first even where it was loaded from elsewhere. */
  loaded: () => string | undefined;
  /** Why a name that no model has is none, where there is a file of it. */
  why?: (name: string) => string | undefined;
}

/** The routes below `/v1/models`. */
export function modelRoutes({ list, loaded, why = () => undefined }: ModelRoutes): Hono {
  const started = Math.floor(Date.now() / 1000);
  const models = (): Model[] => {
    const first = loaded(), found = list();
    const elsewhere = first !== undefined && !found.some(({ name }) => name === first);
    const all = elsewhere ? [{ name: first, modified: started }, ...found] : found;
    return all
      .toSorted((a, b) => Number(b.name === first) - Number(a.name === first))
      .map(({ name, modified }) => ({ id: name, object: "model", created: modified, owned_by: "local" }));
  };
  const app = new Hono();
  app.get("/", (c) => c.json({ object: "list", data: models() }));
  app.get("/:id", (c) => {
    const id = c.req.param("id"), all = models();
    const model = all.find((model) => model.id === id);
    if (model) return c.json(model);
    const reason = why(id), names = all.slice(0, 20).map(({ id }) => id).join(", ");
    const what = reason === undefined ? `, one of these would do: ${names}` : `: ${reason}`;
    throw new Refusal("model_not_found", `There is no model ${JSON.stringify(id.slice(0, 80))}${what}`);
  });
  return app;
}
