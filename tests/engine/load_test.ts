import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { openComponent } from "../../src/checkpoint/component.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";
import { loadWeights } from "../../src/engine/load.ts";
import { packFloats, packPairs } from "../../src/engine/pack.ts";
import { type Weights, weightsBytes } from "../../src/engine/weights.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { Parameter, type ParameterLayout, type Target } from "../../src/graph/graph.ts";
import { Module } from "../../src/nn/module.ts";
import { bf16ToF32, f32ToBf16 } from "../../src/tensor/dtype.ts";
import { elements, type Shape } from "../../src/tensor/shape.ts";
import { repackMatmul, repackRows } from "../reference/repack.ts";
import { type Tensor, tensor } from "../reference/tensor.ts";

const device = await openDevice();
const folder = Deno.makeTempDirSync();
Deno.test.afterAll(() => {
  device[Symbol.dispose]();
  Deno.removeSync(folder, { recursive: true });
});

const target: Target = {
  subgroupSize: 0,
  weightStorage: "buffer",
  weightType: "f32",
  operandType: "f32",
  hiddenType: "f32",
};
const halves: Target = { ...target, weightType: "f16", operandType: "f16" };

/** A module of any parameters. */
class Layer extends Module {
  constructor(parameters: Record<string, Parameter>) {
    super();
    Object.assign(this, parameters);
  }
}

type Source = "f32" | "f16" | "bf16";

/** Numbers as a file of this dtype has them, beside what they are. */
function stored(shape: Shape, dtype: Source): { data: TensorData; numbers: Tensor } {
  const singles = Float32Array.from({ length: elements(shape) }, (_, i) => Math.sin(i * 0.37) * 3 + 2 ** -13 * (i % 7));
  const data = { f32: () => singles, f16: () => Float16Array.from(singles), bf16: () => f32ToBf16(singles) }[dtype]();
  const numbers = data instanceof Uint16Array ? bf16ToF32(data) : Float32Array.from(data);
  return { data: { dtype, shape, data }, numbers: tensor(shape, numbers) };
}

let files = 0;
async function load(
  parameters: Record<string, Parameter>,
  tensors: Record<string, TensorData>,
  options = target,
  alive?: () => void,
): Promise<Weights> {
  const path = join(folder, `${files++}.safetensors`);
  writeSafetensors(path, new Map(Object.entries(tensors)));
  using component = openComponent([path]);
  return await loadWeights(device, options, new Layer(parameters), component, { alive });
}

/** What a parameter's buffer or texture holds, texels row by row. */
async function contents({ resource }: Parameter, type: "f32" | "f16", count: number): Promise<number[]> {
  const Numbers = type === "f16" ? Float16Array : Float32Array, bytes = Numbers.BYTES_PER_ELEMENT;
  const { buffer } = resource as GPUBufferBinding;
  return [...new Numbers(await readBuffer(device, buffer, 0, count * bytes)).subarray(0, count)];
}

/** Textures by their labels, which are parameters' names. */
const textures = new Map<string, GPUTexture>();
const createTexture = device.gpu.createTexture.bind(device.gpu);
device.gpu.createTexture = (descriptor) => {
  const texture = createTexture(descriptor);
  textures.set(texture.label, texture);
  return texture;
};

/** The words of a parameter's texture, texels row by row. */
async function wordsOf(name: string): Promise<Uint32Array> {
  const texture = textures.get(name)!, { width, height, format } = texture;
  const row = width * (format === "rgba16float" ? 8 : 16), bytesPerRow = Math.ceil(row / 256) * 256;
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST, encoder = device.gpu.createCommandEncoder();
  const buffer = device.gpu.createBuffer({ size: bytesPerRow * height, usage });
  encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
  device.gpu.queue.submit([encoder.finish()]);
  const words = new Uint32Array(await readBuffer(device, buffer, 0, bytesPerRow * height));
  buffer.destroy();
  if (bytesPerRow === row) return words;
  return Uint32Array.from(
    { length: row / 4 * height },
    (_, i) => words[Math.floor(4 * i / row) * bytesPerRow / 4 + i % (row / 4)],
  );
}

const bytesOf = (words: Uint32Array) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
const { fround } = Math;
const half = (value: number) => new Float16Array([value])[0];

for (const dtype of ["f32", "f16", "bf16"] as const) {
  Deno.test(`a matmul weight stored in ${dtype} is packed as [tap, in, out], padded with zeros`, async () => {
    for (const shape of [[1, 1], [5, 3], [8, 4, 3, 3], [7, 6, 3, 3], [33, 17, 1, 1], [3, 5, 2, 3]]) {
      const { data, numbers } = stored(shape, dtype), expected = repackMatmul(numbers);
      for (const options of device.f16 ? [target, halves] : [target]) {
        const weight = new Parameter(shape, "matmul"), type = options.weightType;
        using _weights = await load({ weight }, { weight: data }, options);
        const round = type === "f16" ? half : fround;
        deepStrictEqual(
          await contents(weight, type, expected.data.length),
          Array.from(expected.data, round),
          `[${shape}]`,
        );
      }
    }
  });

  Deno.test(`rows and vectors stored in ${dtype} are padded to whole vec4s, and vectors are always f32`, async () => {
    for (const shape of [[1, 1], [7, 5], [13, 8], [4, 33]]) {
      const table = stored(shape, dtype), bias = stored([shape[1]], dtype);
      for (const options of device.f16 ? [target, halves] : [target]) {
        const parameters = { table: new Parameter(shape, "rows"), bias: new Parameter([shape[1]], "vector") };
        using _weights = await load(parameters, { table: table.data, bias: bias.data }, options);
        const rows = repackRows(table.numbers), row = repackRows({ ...bias.numbers, shape: [1, shape[1]] });
        const round = options.weightType === "f16" ? half : fround;
        deepStrictEqual(
          await contents(parameters.table, options.weightType, rows.data.length),
          Array.from(rows.data, round),
        );
        deepStrictEqual(await contents(parameters.bias, "f32", row.data.length), [...row.data]);
      }
    }
  });
}

Deno.test("parameters of more than one batch and tensors of more than one piece all arrive", async () => {
  const parameters: Record<string, Parameter> = {}, tensors: Record<string, TensorData> = {};
  const expected = new Map<string, Tensor>();
  const add = (name: string, shape: Shape, layout: ParameterLayout) => {
    const { data, numbers } = stored(shape, "f32");
    parameters[name] = new Parameter(shape, layout);
    tensors[name] = data;
    expected.set(name, layout === "matmul" ? repackMatmul(numbers) : repackRows({ ...numbers, shape: [1, ...shape] }));
  };
  for (let i = 0; i < 130; i++) add(`bias_${i}`, [1 + i % 9], "vector"); // 64 a batch
  add("weight", [4100, 1030], "matmul"); // 16.9 MB, of which 16.8 are staged at once
  using weights = await load(parameters, tensors);
  for (const [name, { data }] of expected) {
    deepStrictEqual(Float64Array.from(await contents(parameters[name], "f32", data.length)), data, name);
  }
  strictEqual(weights.bytes, [...expected.values()].reduce((sum, { data }) => sum + 4 * data.length, 0));
});

if (device.weightStorage === "texture" && device.f16) {
  const textured: Target = { ...target, weightStorage: "texture", subgroupSize: device.subgroupSize };
  const paired: Target = { ...textured, weightType: "f16", operandType: "f16" };
  const shapes = [[2048, 1032], [1030, 2048], [4, 8], [128, 24, 3, 3], [8, 4096], [2048, 8000]];
  const singles = Float32Array.from({ length: 2048 * 8000 }, (_, i) => i * 7919 % 251 - 125);
  const inHalves = new Float16Array(singles), inBf16 = f32ToBf16(singles);

  for (const options of [textured, paired]) {
    const { weightType } = options;
    Deno.test(`textures of more batches than are in flight, packed by host and device in turns, have every word: ${weightType}`, async () => {
      const parameters: Record<string, Parameter> = {}, tensors: Record<string, TensorData> = {};
      for (let i = 0; i < 24; i++) {
        const shape = shapes[i % shapes.length], count = elements(shape);
        parameters[`weight_${i}`] = new Parameter(shape, "matmul");
        tensors[`weight_${i}`] = i % 5 === 3
          ? { dtype: "bf16", shape, data: inBf16.subarray(0, count) }
          : { dtype: "f16", shape, data: inHalves.subarray(0, count) };
      }
      using weights = await load(parameters, tensors, options);
      strictEqual(weights.bytes, weightsBytes(new Layer(parameters), options));
      for (const [name, { shape }] of Object.entries(parameters)) {
        const [out, inner, ...rest] = shape, taps = elements(rest), out4 = Math.ceil(out / 4);
        const stored = inHalves.subarray(0, elements(shape));
        const expected = new Uint32Array(taps * inner * out4 * (weightType === "f16" ? 2 : 4));
        const rows = { row0: 0, rows: out, inner, taps, out4 };
        if (weightType === "f16") packPairs(new Uint16Array(stored.buffer, 0, stored.length), expected, rows);
        else packFloats(stored, new Float32Array(expected.buffer), rows);
        const words = await wordsOf(name);
        strictEqual(Buffer.compare(bytesOf(expected), bytesOf(words.subarray(0, expected.length))), 0, name);
      }
    });

    Deno.test(`tables of halves arrive whether they fill their texture's rows or not, in one piece or more: ${weightType}`, async () => {
      const shapes = { large: [49152, 192], whole: [512, 16], one: [3, 8], parts: [77, 768], odd: [300, 17] };
      const parameters: Record<string, Parameter> = {}, tensors: Record<string, TensorData> = {};
      for (const [name, shape] of Object.entries(shapes)) {
        parameters[name] = new Parameter(shape, "rows");
        tensors[name] = {
          dtype: "f16",
          shape,
          data: Float16Array.from({ length: elements(shape) }, (_, i) => i % 2048),
        };
      }
      using _weights = await load(parameters, tensors, options);
      for (const [name, shape] of Object.entries(shapes)) {
        const [rows, width] = shape, padded = Math.ceil(width / 4) * 4, { buffer } = await wordsOf(name);
        const found = weightType === "f16" ? new Float16Array(buffer) : new Float32Array(buffer);
        for (let i = 0; i < rows * padded; i++) {
          const expected = i % padded < width ? (Math.floor(i / padded) * width + i % padded) % 2048 : 0;
          if (found[i] !== expected) throw new Error(`${name} ${i}: ${found[i]} instead of ${expected}`);
        }
      }
    });
  }
}

Deno.test("weights count their bytes, and are gone once disposed of", async () => {
  const weight = new Parameter([8, 8], "matmul");
  const weights = await load({ weight }, { weight: stored([8, 8], "f32").data });
  strictEqual(weights.bytes, 8 * 8 * 4);
  weights[Symbol.dispose]();
  strictEqual(weights.bytes, 0);
  await rejects(contents(weight, "f32", 64), /destroyed/);
});

Deno.test("a 1×1 convolution may be stored as a matrix, and a matrix as a 1×1 convolution", async () => {
  for (const [wanted, found] of [[[5, 3, 1, 1], [5, 3]], [[5, 3], [5, 3, 1, 1]]]) {
    const weight = new Parameter(wanted, "matmul"), { data, numbers } = stored(found, "f16");
    using _weights = await load({ weight }, { weight: data });
    const expected = repackMatmul(numbers).data;
    deepStrictEqual(await contents(weight, "f32", expected.length), [...expected]);
  }
});

Deno.test("a file that is not the model's is refused in one sentence with every tensor's path", async () => {
  const parameters = {
    missing: new Parameter([3], "vector"),
    shape: new Parameter([4, 2], "matmul"),
    dtype: new Parameter([2], "vector"),
  };
  const tensors: Record<string, TensorData> = {
    shape: stored([2, 4], "f32").data,
    dtype: { dtype: "i64", shape: [2], data: new BigInt64Array(2) },
    unknown: stored([1], "f32").data,
  };
  await rejects(load(parameters, tensors), (error) => {
    ok(error instanceof Error && error.name === "WeightsError");
    const [file, list] = error.message.split(": ");
    ok(/^Cannot load .*\.safetensors$/.test(file), file);
    deepStrictEqual(list.split("; "), [
      "missing [3] is missing",
      "shape is [2, 4], the model has [4, 2]",
      "dtype is i64, and must be f32, f16 or bf16",
      "unknown is in the file and not in the model",
    ]);
    return true;
  });
  strictEqual(parameters.shape.resource, undefined, "nothing was uploaded");
});

Deno.test("of many problems the first eight are told", async () => {
  const parameters = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`p${i}`, new Parameter([1], "vector")]));
  await rejects(load(parameters, {}), /p0 \[1\] is missing; .*p7 \[1\] is missing; and 3 more$/);
});

Deno.test("tensors that published files carry and no model uses are excused", async () => {
  const weight = new Parameter([1], "vector"), { data } = stored([1], "f32");
  using weights = await load({ weight }, {
    weight: data,
    "text_model.embeddings.position_ids": { dtype: "i64", shape: [1, 2], data: new BigInt64Array(2) },
    "logit_scale": stored([], "f32").data,
    "vision_model.post_layernorm.bias": stored([2], "f16").data,
  });
  strictEqual(weights.bytes, 16);
});

Deno.test("a tensor larger than the device binds is refused before it is read", async () => {
  const width = device.maxBinding / 4 + 4, path = join(folder, "large.safetensors");
  const header = JSON.stringify({ table: { dtype: "F32", shape: [1, width], data_offsets: [0, 4 * width] } });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const head = new Uint8Array(8 + padded.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded.length), true);
  head.set(new TextEncoder().encode(padded), 8);
  Deno.writeFileSync(path, head);
  Deno.truncateSync(path, head.length + 4 * width); // a hole: it takes no room on the disk
  using component = openComponent([path]);
  const table = new Parameter([1, width], "rows");
  await rejects(loadWeights(device, target, new Layer({ table }), component), {
    name: "WeightsError",
    message: `Cannot load table: ${4 * width} bytes, and this GPU binds ${device.maxBinding} at most`,
  });
});

Deno.test("four rows, or one vector, that are larger than what is staged at once arrive whole", async () => {
  const shapes = { weight: [5, 1_048_579], bias: [4_200_001] }, value = (i: number) => i * 7919 % 251 - 125;
  const parameters = { weight: new Parameter(shapes.weight, "matmul"), bias: new Parameter(shapes.bias, "vector") };
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: "f32", shape, data: Float32Array.from({ length: elements(shape) }, (_, i) => value(i)) } as const,
    ]),
  );
  let alive = 0;
  using _weights = await load(parameters, tensors, target, () => alive++);
  ok(alive >= 2, "said between batches, of which there are 40 MiB");
  const [out, inner] = shapes.weight, weight = await contents(parameters.weight, "f32", inner * 8);
  for (const [i, found] of weight.entries()) {
    const row = i % 8, column = Math.floor(i / 8);
    if (found !== (row < out ? value(row * inner + column) : 0)) {
      throw new Error(`weight [${row}, ${column}]: ${found}`);
    }
  }
  const bias = await contents(parameters.bias, "f32", shapes.bias[0]);
  ok(bias.every((found, i) => found === value(i)));
});

Deno.test("tensors of one file may be stored in different types", async () => {
  const types = ["f32", "f16", "bf16"] as const, parameters: Record<string, Parameter> = {};
  const tensors: Record<string, TensorData> = {}, expected = new Map<string, ArrayLike<number>>();
  for (const [i, dtype] of [...types, ...types].entries()) {
    const name = `${String.fromCharCode(97 + i)}_${dtype}`, { data, numbers } = stored([6, 5, 3, 3], dtype);
    parameters[name] = new Parameter([6, 5, 3, 3], "matmul");
    tensors[name] = data;
    expected.set(name, repackMatmul(numbers).data);
  }
  using _weights = await load(parameters, tensors);
  for (const [name, data] of expected) {
    deepStrictEqual(await contents(parameters[name], "f32", data.length), Array.from(data, fround), name);
  }
});
