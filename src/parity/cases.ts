/** What a case is, wherever it runs. */
import type { Device } from "../gpu/device.ts";
import type { Measure } from "./compare.ts";
import type { LoadedModel } from "./models.ts";

/** A case: its name, which `--only` searches, and what compares it. Comparing throws {@link NotHere} what is not built. */
export type Case =
  & { id: string }
  & (
    | { on: "host"; compare(): Iterable<Measure> }
    | { on: "device"; compare(device: Device): AsyncIterable<Measure> }
    /** Once in each precision, on the model of that name, which is loaded when it is asked for. */
    | { on: "model"; model: string; compare(load: () => LoadedModel): AsyncIterable<Measure> }
  );

/** What `make` gives, made when first asked for. */
export function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => made ??= make();
}
