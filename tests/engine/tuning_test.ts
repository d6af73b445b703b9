import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { reserveWeights } from "../../src/engine/load.ts";
import { Engine } from "../../src/engine/engine.ts";
import { createBackend } from "../../src/engine/model.ts";
import { type Compared, tune } from "../../src/engine/tune.ts";
import {
  chosenKernels,
  readTunings,
  type Tuning,
  tuningDigest,
  tuningOf,
  writeTuning,
} from "../../src/engine/tuning.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { type Device, identityOf, openDevice, type Way } from "../../src/gpu/device.ts";
import { Graph, type TileSize } from "../../src/graph/graph.ts";
import { freeze } from "../../src/graph/plan.ts";
import { BasicTransformerBlock } from "../../src/models/unet/transformer.ts";
import { Conv2d, GatedLinear } from "../../src/nn/layers.ts";
import { sizeClass, tileOf, tileSizes } from "../../src/ops/tiles.ts";
import { defaultModel, locateModel } from "../../src/engine/locate.ts";
import { targets } from "../gpu/every_kernel.ts";
import { normals } from "../ops/case.ts";

const tuning: Tuning = { subgroups: false, weightStorage: "texture", tiles: { "64×320": { rows: 32, columns: 1 } } };

/** What is usual on a GPU. */
const gpuWay: Way = { subgroups: false, weightStorage: "buffer" };

/** An adapter of this name. */
const named = (name: string) => ({ name, fingerprint: `of ${name}` });

Deno.test("what was measured is kept by adapter, and read again", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/deep/tuning.json`, lines: string[] = [];
  const log = (line: string) => lines.push(line);
  try {
    deepStrictEqual(readTunings(path, log), {}); // nobody has measured, which is no news
    writeTuning(path, named("one"), tuning);
    writeTuning(path, named("two"), { ...tuning, subgroups: true });
    writeTuning(path, named("one"), { ...tuning, tiles: {} });
    const read = readTunings(path, log);
    deepStrictEqual(tuningOf(read, named("one"), log), { ...tuning, tiles: {} });
    deepStrictEqual(tuningOf(read, named("two"), log), { ...tuning, subgroups: true });
    strictEqual(tuningOf(read, named("three"), log), undefined);
    deepStrictEqual(lines, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what was measured with another driver is left alone with a line that says what to do", () => {
  const lines: string[] = [], tunings = { one: { ...tuning, fingerprint: "of another" } };
  strictEqual(tuningOf(tunings, named("one"), (line) => lines.push(line)), undefined);
  deepStrictEqual(lines, [
    "one was measured with another driver or backend: which kernels suit the GPU is not known, `deno task tune` finds out",
  ]);
});

Deno.test("an adapter has one fingerprint, and another one where its vendor, features or limits are others", async () => {
  using device = await openDevice();
  const adapter = (await navigator.gpu.requestAdapter())!, { info, features, limits } = adapter;
  deepStrictEqual(identityOf(adapter), device.adapter);
  const others = [
    { info: { ...info, description: info.description, vendor: "another" }, features, limits },
    { info, features: new Set([...features, "another"]) as GPUSupportedFeatures, limits },
    { info, features, limits: { ...limits, maxBufferSize: limits.maxBufferSize / 2 } },
  ].map((other) => identityOf(other as typeof adapter));
  strictEqual(new Set([device.adapter, ...others].map(({ fingerprint }) => fingerprint)).size, 4);
  deepStrictEqual(others.map(({ name }) => name), others.map(() => device.name));
});

Deno.test("every kernel that layers have by one way and not by another is among those whose change voids a choice", () => {
  const names = new Set(chosenKernels.map(({ name }) => name)), byWay: Set<string>[] = [];
  for (const target of targets([0, 8])) {
    const graph = new Graph(target), block = new BasicTransformerBlock(320, 768, 8);
    block.forward(
      graph.input("x", [2, 64, 320], target.hiddenType),
      graph.input("context", [2, 77, 768], target.operandType),
    );
    new Conv2d(320, 320, 3).forward(graph.input("picture", [2, 32, 32, 320], target.operandType));
    byWay.push(new Set(graph.dispatches.map(({ kernel }) => kernel.name)));
  }
  const chosen = byWay.reduce((all, each) => all.union(each)).difference(
    byWay.reduce((all, each) => all.intersection(each)),
  );
  deepStrictEqual([...chosen.difference(names)], []);
  for (const part of [/^matmul_/, /^attention_/, /^winograd_/, /^layer_norm/]) {
    ok([...chosen].some((name) => part.test(name)), `${part} is none of ${[...chosen]}`);
  }
});

Deno.test("a file that is damaged, or of other kernels, is left alone with a line that says what to do", async () => {
  const path = await Deno.makeTempFile();
  try {
    writeTuning(path, named("one"), tuning);
    const good = Deno.readTextFileSync(path);
    const bad: [text: string, line: RegExp][] = [
      ["", /^Cannot use .*: Unexpected end of JSON input; .*deno task tune/],
      ["[]", /it has no kernels and adapters/],
      [good.replace('"columns": 1', '"columns": 3'), /its adapter "one" is \{/],
      [good.replace('"texture"', '"disk"'), /its adapter "one" is \{/],
      [good.replace('"of one"', "7"), /its adapter "one" is \{/],
      [
        good.replace(/"kernels": "."?/, '"kernels": "~'),
        /was measured with other kernels, or by another Deno: .*deno task tune/,
      ],
    ];
    for (const [text, line] of bad) {
      Deno.writeTextFileSync(path, text);
      const lines: string[] = [];
      deepStrictEqual(readTunings(path, (line) => lines.push(line)), {});
      strictEqual(lines.length, 1);
      match(lines[0], line);
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("matmuls of about one size share a choice, and others keep the usual tile", () => {
  strictEqual(sizeClass(1, 1), "64×320");
  strictEqual(sizeClass(128, 80), "256×320");
  strictEqual(sizeClass(100_000, 1000), "16384×2560");
  const tiles = { [sizeClass(1024, 160)]: { rows: 32, columns: 2 } };
  const of = (rows: number) => tileOf({ subgroupSize: 0, tiles }, { rows, out4: 160, flops: 1e9 }).constants;
  deepStrictEqual(of(1024), { THREADS: 32, THREAD_COLUMNS: 2 });
  deepStrictEqual(of(4096), { THREADS: 64, THREAD_COLUMNS: 2 });
});

Deno.test("no tile changes a bit of a convolution or of a gated layer, neither by subgroups nor by workgroup memory", async () => {
  for (const way of [{}, gpuWay]) {
    using device = await openDevice(way);
    // 9·11 rows, 40 to 72 channels: no tile divides them.
    for (const layer of [new Conv2d(40, 72, 3), new GatedLinear(40, 36)]) {
      const results = [];
      for (const size of [undefined, ...tileSizes(device.subgroupSize)]) {
        results.push(await compute(device, layer, size));
      }
      const of = `${JSON.stringify(way)}, ${layer.constructor.name}`;
      for (const [i, words] of results.entries()) deepStrictEqual(words, results[0], `${of}, tile ${i}`);
      ok(new Set(results[0]).size > 1000, "it computes something");
    }
  }
});

/** The bits that a layer gives of 99 pixels of 40 channels, in a tile of this size. */
async function compute(device: Device, layer: Conv2d | GatedLinear, size: TileSize | undefined): Promise<Uint32Array> {
  const tiles = size && { [sizeClass(99, 18)]: size };
  const { target } = createBackend(device, device.f16 ? "f16" : "f32", { tiles });
  const graph = new Graph(target);
  using weights = reserveWeights(device, target, layer);
  fill(device, weights.resources);
  const x = graph.input("x", [1, 9, 11, 40], "f32");
  graph.keep("y", layer.forward(x));
  using plan = freeze(device, graph);
  plan.write("x", Float32Array.from(normals([1, 9, 11, 40], 1).data));
  plan.run();
  const buffer = plan.buffer("y");
  return new Uint32Array(await readBuffer(device, buffer, 0, buffer.size));
}

/** Small numbers, as any format has them: 0x2c00 is 1/16 in f16, 0x2c002c00 a small f32. */
function fill(device: Device, resources: readonly (GPUBuffer | GPUTexture)[]): void {
  for (const resource of resources) {
    const texel = resource instanceof GPUTexture && resource.format === "rgba16float" ? 8 : 16;
    const [width, height] = resource instanceof GPUTexture
      ? [resource.width, resource.height]
      : [resource.size / texel, 1];
    const halves = Uint16Array.from(
      { length: width * height * texel / 2 },
      (_, i) => 0x2800 + (i * 37) % 0x3ff | (i % 3 ? 0 : 0x8000),
    );
    if (resource instanceof GPUTexture) {
      device.gpu.queue.writeTexture({ texture: resource }, halves, { bytesPerRow: width * texel }, [width, height]);
    } else device.gpu.queue.writeBuffer(resource, 0, halves, 0, resource.size / 2);
  }
}

Deno.test("tuning measures ways and all tiles, and an engine takes what it chose", async () => {
  const compared: Compared[] = [];
  const { adapter, tuning } = await tune({
    others: [gpuWay],
    rows: 64,
    matmuls: [[64, 320]],
    observe: (each) => compared.push(each),
  });
  const [layers, matmul] = compared;
  ok(Object.keys(layers.ms).includes("workgroup memory, weights in a buffer"), `${Object.keys(layers.ms)}`);
  ok(Object.keys(matmul.ms).length >= 3, `${Object.keys(matmul.ms)}`);
  ok(compared.every(({ ms, chosen }) => chosen in ms && Object.values(ms).every((each) => each > 0)));
  const other: Tuning = { ...tuning, tiles: { "64×320": { rows: 32, columns: 2 } } };
  using engine = await Engine.open({
    model: locateModel(defaultModel),
    tunings: { [adapter.name]: { ...other, fingerprint: adapter.fingerprint } },
    warm: false,
    log: () => {},
  });
  strictEqual(engine.info.adapter.tuning, tuningDigest(other));
  ok(tuningDigest(other) !== tuningDigest({ ...other, tiles: {} }));
  strictEqual(engine.device.weightStorage, other.weightStorage);
  deepStrictEqual(engine.backend.target.tiles, other.tiles);
});
