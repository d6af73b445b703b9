/** Models of real sizes with hashed weights: their indexes hold configs and keys, so the models are written first. */
import { basename, join } from "node:path";
import type { Case } from "./cases.ts";
import { NotHere } from "./compare.ts";
import { pictureCase, tokenizerOf } from "./e2e.ts";
import { hashedModel, isNetwork } from "./hashed_model.ts";
import { casesOf } from "./nets.ts";
import type { Fields, Fixture, Goldens, NetIndex, PictureIndex } from "./oracle.ts";

/**
 * The cases of `full/`, and how to make their models. An index without a namespace is a pipeline's; its model is the one
 * whose name its own starts with. Without `run` every case says why it is skipped.
 */
export function fullCases(
  goldens: Goldens,
  { run, cache }: { run: boolean; cache: string },
): { cases: Case[]; models: Map<string, () => string> } {
  const { root, full } = goldens, tokenizer = tokenizerOf(goldens);
  const parts = Map.groupBy(
    full.map(({ index: { namespace, config } }) => ({ namespace, config }))
      .filter(({ namespace }) => isNetwork(`${namespace}`.split("/")[1])),
    ({ namespace }) => `full/${namespace.split("/")[0]}`,
  );
  const models = new Map(
    [...parts].map((
      [name, parts],
    ) => [name, () => hashedModel(parts, { cache, tokenizer: join(root, "models", "tokenizer") })]),
  );
  const cases = full.flatMap((fixture): Case[] => {
    if (fixture.index.namespace) {
      const [model, component] = fixture.index.namespace.split("/");
      return [...casesOf(fixture, `full/${model}`, component)];
    }
    const model = [...models.keys()].find((name) => basename(fixture.id).startsWith(basename(name)));
    return fixture.index.cases.map((one, i) => pictureCase(pictureOf(fixture, one, i, model ?? ""), tokenizer));
  });
  const skipped = cases.map(({ id }): Case => ({
    id,
    on: "host",
    compare: () => {
      throw new NotHere("models of real sizes take gigabytes and minutes; --full runs them");
    },
  }));
  return { cases: run ? cases : skipped, models };
}

/** A pipeline's case with what the index leaves out. */
function pictureOf(
  { id, folder, index }: Fixture<NetIndex>,
  one: Fields,
  i: number,
  model: string,
): Fixture<PictureIndex> {
  const { scheduler, ...fields } = one;
  const picture = {
    name: basename(id),
    mode: "txt2img",
    scheduler_class: scheduler,
    tensors: index.tensors,
    model,
    ...fields,
  };
  return { id: `${id}/${i}`, folder, index: picture as unknown as PictureIndex };
}
