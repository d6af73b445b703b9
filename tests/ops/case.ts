/** A line of a table: an op on given shapes, beside its reference. Recording one needs no device. */
import {
  Graph,
  Parameter,
  type ParameterLayout,
  type StorageType,
  type Target,
  type Value,
} from "../../src/graph/graph.ts";
import { elements, type Shape } from "../../src/tensor/shape.ts";
import { gaussian } from "../../src/tensor/random.ts";
import { fill, type Tensor } from "../reference/tensor.ts";

/** How a value is stored: as the target stores operands or hidden states, or always in one way. */
export type Stored = "operand" | "hidden" | "f32" | "u32";

/** Something the host writes; standard normals where no `values` are given. */
export interface Input {
  shape: Shape;
  stored: Stored;
  values?: () => Tensor;
}

/** A trained tensor, and the dtype of the file it is loaded from. */
export interface Weight {
  shape: Shape;
  layout: ParameterLayout;
  dtype?: "f32" | "f16" | "bf16";
}

/** Names to things of one kind. */
export type Named<Thing> = Record<string, Thing>;

/** An op on given shapes. `record` and `reference` give the same names. */
export interface Case {
  name: string;
  inputs: Named<Input>;
  weights?: Named<Weight>;
  record(values: Named<Value>, parameters: Named<Parameter>): Named<Value>;
  reference(inputs: Named<Tensor>, weights: Named<Tensor>): Named<Tensor>;
}

/** Largest relative error of values stored in f32 and in f16. */
export interface Bounds {
  f32: number;
  f16: number;
}

/** All cases of an op. */
export interface Table {
  op: string;
  bounds: Bounds;
  cases: readonly Case[];
}

/** The last rounding to f16's 11 bits is off by 2⁻¹¹ of a value at most; everything before it is in f32. */
export const f16Rounding = 5e-4;

/** More normals than this are the same over again: a prime, so that no row or piece begins where another one did. */
const period = 65537;

/** Standard normals, the same for the same seed. */
export function normals(shape: Shape, seed: number): Tensor {
  const draw = gaussian({ seed, rng: "cpu", shape: [Math.min(elements(shape), period)] })();
  return fill(shape, (i) => draw[i % period]);
}

/** A case's graph for a target: its inputs and outputs are named. */
export function recordCase(
  { inputs, weights = {}, record }: Case,
  target: Target,
): { graph: Graph; parameters: Named<Parameter>; outputs: Named<Value> } {
  const graph = new Graph(target);
  const values = mapNamed(inputs, ({ shape, stored }, name) => graph.input(name, shape, storageType(stored, target)));
  const parameters = mapNamed(weights, ({ shape, layout }) => new Parameter(shape, layout));
  const outputs = record(values, parameters);
  for (const [name, value] of Object.entries(outputs)) if (!graph.named.has(name)) graph.keep(name, value);
  return { graph, parameters, outputs };
}

/** The storage type that a target has for a role. */
export function storageType(stored: Stored, { operandType, hiddenType }: Target): StorageType {
  switch (stored) {
    case "operand":
      return operandType;
    case "hidden":
      return hiddenType;
    case "f32":
    case "u32":
      return stored;
    default:
      return stored satisfies never;
  }
}

/** f of every named thing, under the same name. */
export function mapNamed<From, To>(things: Named<From>, f: (thing: From, name: string) => To): Named<To> {
  return Object.fromEntries(Object.entries(things).map(([name, thing]) => [name, f(thing, name)]));
}
