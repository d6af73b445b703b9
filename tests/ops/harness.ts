/** Runs the cases of a table on the device and compares each result with its reference. */
import { ok, strictEqual } from "node:assert/strict";
import { openComponent } from "../../src/checkpoint/component.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";
import { loadWeights } from "../../src/engine/load.ts";
import type { Weights } from "../../src/engine/weights.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { type Device, openDevice, type WeightStorage } from "../../src/gpu/device.ts";
import { type Parameter, rowsOf, type StorageType, type Target, type Value, vec4s } from "../../src/graph/graph.ts";
import { createStorage, freeze } from "../../src/graph/plan.ts";
import { Module } from "../../src/nn/module.ts";
import { bf16ToF32, f32ToBf16 } from "../../src/tensor/dtype.ts";
import { relativeError, type Tensor } from "../reference/tensor.ts";
import { type Case, mapNamed, type Named, normals, recordCase, type Table, type Weight } from "./case.ts";

/** How numbers are stored: all in f32, hidden states alone in f32 as the U-Net has it, or all in f16 as the VAE has it. */
export type Types = "f32" | "f16" | "f16 throughout";

/** Which kernels: through subgroups or workgroup memory, and where matmul weights live. */
export interface Path {
  kernels: "shuffle" | "tiled";
  weights: WeightStorage;
}

/** What a software driver runs, and what a GPU does. */
export const usualPaths: readonly Path[] = [
  { kernels: "shuffle", weights: "texture" },
  { kernels: "tiled", weights: "buffer" },
];

/** Every combination. */
export const allPaths: readonly Path[] = [
  ...usualPaths,
  { kernels: "shuffle", weights: "buffer" },
  { kernels: "tiled", weights: "texture" },
];

/** The device of a test file. */
export const device: Device = await openDevice();

/** A target of one path and types, or undefined where this device cannot run it. */
function targetOf({ kernels, weights }: Path, types: Types): Target | undefined {
  if (kernels === "shuffle" && !device.subgroupSize || types !== "f32" && !device.f16) return;
  if (weights === "texture" && device.weightStorage !== "texture") return;
  const operandType = types === "f32" ? "f32" : "f16";
  return {
    subgroupSize: kernels === "shuffle" ? device.subgroupSize : 0,
    weightStorage: weights,
    weightType: operandType,
    operandType,
    hiddenType: types === "f16 throughout" ? "f16" : "f32",
  };
}

/** A test for every path and types that this device has, over all cases of the table. */
export function prove(
  { op, bounds, cases }: Table,
  { paths = usualPaths.slice(0, 1), types = ["f32", "f16"] }: { paths?: readonly Path[]; types?: readonly Types[] } =
    {},
): void {
  for (const path of paths) {
    for (const type of types) {
      const target = targetOf(path, type);
      const by = paths.length > 1 ? `${path.kernels} kernels, weights in a ${path.weights}, ` : "";
      Deno.test({
        name: `${op} matches its reference on ${cases.length} shapes: ${by}${type}`,
        ignore: target === undefined,
        fn: async () => {
          for (const line of cases) await proveCase(line, target!, bounds, `${op}, ${line.name}`);
        },
      });
    }
  }
}

async function proveCase(line: Case, target: Target, bounds: Table["bounds"], name: string): Promise<void> {
  const { inputs, weights, outputs } = await run(line, target);
  const expected = line.reference(inputs, weights);
  for (const [output, { tensor, padding, dtype }] of Object.entries(outputs)) {
    strictEqual(`${tensor.shape}`, `${expected[output].shape}`, `${name}: shape of ${output}`);
    // Words are no lanes of a vec4: nobody reads past the last one.
    if (dtype !== "u32") {
      ok(padding.every((value) => value === 0), `${name}: the padding of ${output} holds [${padding.slice(0, 8)}]`);
    }
    const error = relativeError(tensor, expected[output]), bound = dtype === "u32" ? 0 : bounds[dtype];
    ok(error <= bound, `${name}: ${output} is off by ${error.toExponential(2)}, ${bound} at most`);
  }
}

/** What a value holds after a run. */
export interface Output {
  tensor: Tensor;
  /** What lies between the rows, in the lanes that round the last dimension up to whole vec4s. */
  padding: Float64Array;
  dtype: StorageType;
}

/** Runs a case: its inputs and weights as the device had them, rounded, and its outputs. */
export async function run(
  line: Case,
  target: Target,
): Promise<{ inputs: Named<Tensor>; weights: Named<Tensor>; outputs: Named<Output> }> {
  const { graph, parameters, outputs } = recordCase(line, target);
  let seed = 1;
  const inputs = mapNamed(line.inputs, ({ shape, values }, name) => {
    const { dtype } = graph.named.get(name)!;
    return rounded(values?.() ?? normals(shape, seed++), dtype);
  });
  const stored = mapNamed(line.weights ?? {}, ({ shape, dtype = "f32" }) => rounded(normals(shape, seed++), dtype));
  using _loaded = await load(line.weights ?? {}, stored, parameters, target);
  // What a kernel leaves unwritten must show: outputs start as NaN, where a new buffer would be zero.
  const poisoned = mapNamed(outputs, ({ storage }, name) => {
    const buffer = createStorage(device, name, storage.bytes);
    device.gpu.queue.writeBuffer(buffer, 0, new Uint8Array(storage.bytes).fill(0xff));
    return buffer;
  });
  try {
    using plan = freeze(device, graph, poisoned);
    for (const [name, { data }] of Object.entries(inputs)) {
      plan.write(name, line.inputs[name].stored === "u32" ? Uint32Array.from(data) : Float32Array.from(data));
    }
    plan.run();
    const results: Named<Output> = {};
    for (const [name, value] of Object.entries(outputs)) results[name] = await read(value, plan.buffer(name));
    const weights = mapNamed(
      stored,
      (tensor, name) => line.weights![name].layout === "vector" ? tensor : rounded(tensor, target.weightType),
    );
    return { inputs, weights, outputs: results };
  } finally {
    for (const buffer of Object.values(poisoned)) buffer.destroy();
  }
}

/** Loads parameters as a model's are: from a file, by the engine's loader. */
export async function load(
  weights: Named<Weight>,
  tensors: Named<Tensor>,
  parameters: Named<Parameter>,
  target: Target,
): Promise<Weights | undefined> {
  if (Object.keys(weights).length === 0) return;
  class Fields extends Module {
    readonly fields = Object.values(parameters);
  }
  const contents = Object.entries(weights).map(([name, { shape, dtype = "f32" }], i): [string, TensorData] => [
    `fields.${i}`,
    { dtype, shape, data: encode(tensors[name].data, dtype) },
  ]);
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    writeSafetensors(path, new Map(contents));
    using component = openComponent([path]);
    return await loadWeights(device, target, new Fields(), component);
  } finally {
    await Deno.remove(path);
  }
}

function encode(data: Float64Array, dtype: "f32" | "f16" | "bf16"): ArrayBufferView {
  if (dtype === "f16") return Float16Array.from(data);
  const singles = Float32Array.from(data);
  return dtype === "bf16" ? f32ToBf16(singles) : singles;
}

/** The nearest values that a dtype has. */
export function rounded({ shape, data }: Tensor, dtype: StorageType | "bf16"): Tensor {
  if (dtype === "u32") return { shape, data };
  if (dtype === "f16") return { shape, data: Float64Array.from(Float16Array.from(data)) };
  const singles = Float32Array.from(data);
  if (dtype === "f32") return { shape, data: Float64Array.from(singles) };
  return { shape, data: Float64Array.from(bf16ToF32(f32ToBf16(singles))) };
}

async function read({ shape, dtype, storage }: Value, buffer: GPUBuffer): Promise<Output> {
  const bytes = await readBuffer(device, buffer, 0, storage.bytes);
  const raw = new { f32: Float32Array, f16: Float16Array, u32: Uint32Array }[dtype](bytes);
  const rows = rowsOf(shape), width = shape.at(-1)!, stride = 4 * vec4s(shape);
  const data = new Float64Array(rows * width), padding = new Float64Array(rows * (stride - width));
  for (let row = 0; row < rows; row++) {
    data.set(raw.subarray(row * stride, row * stride + width), row * width);
    padding.set(raw.subarray(row * stride + width, (row + 1) * stride), row * (stride - width));
  }
  return { tensor: { shape, data }, padding, dtype };
}
