/** Layers hold parameters in fields named as in the checkpoint, so that loading is a walk over them. */
import { Parameter } from "../graph/graph.ts";

/** A layer: parameters and other layers in its fields, arrays included. */
export abstract class Module {
  /** Every parameter below with its checkpoint name. A gap in an array (dropout) has none. */
  *parameters(prefix = ""): Generator<[path: string, parameter: Parameter]> {
    for (const [name, field] of Object.entries(this)) yield* walk(field, prefix + name);
  }
}

function* walk(node: unknown, path: string): Generator<[path: string, parameter: Parameter]> {
  if (node instanceof Parameter) yield [path, node];
  else if (node instanceof Module) yield* node.parameters(`${path}.`);
  else if (Array.isArray(node)) { for (const [i, item] of node.entries()) yield* walk(item, `${path}.${i}`); }
}
