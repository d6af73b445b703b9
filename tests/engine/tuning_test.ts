import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { reserveWeights } from "../../src/engine/load.ts";
import { Engine } from "../../src/engine/engine.ts";
import { createBackend } from "../../src/engine/model.ts";
import { type Compared, tune } from "../../src/engine/tune.ts";
import { readTunings, type Tuning, tuningDigest, writeTuning } from "../../src/engine/tuning.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { type Device, openDevice, type Way } from "../../src/gpu/device.ts";
import { Graph, type TileSize } from "../../src/graph/graph.ts";
import { freeze } from "../../src/graph/plan.ts";
import { Conv2d, GatedLinear } from "../../src/nn/layers.ts";
import { sizeClass, tileOf, tileSizes } from "../../src/ops/tiles.ts";
import { defaultModel, locateModel } from "../../src/engine/locate.ts";
import { normals } from "../ops/case.ts";

const tuning: Tuning = { subgroups: false, weightStorage: "texture", tiles: { "64×320": { rows: 32, columns: 1 } } };

/** What is usual on a GPU. */
const gpuWay: Way = { subgroups: false, weightStorage: "buffer" };

Deno.test("what was measured is kept by adapter, and read again", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/deep/tuning.json`, lines: string[] = [];
  const log = (line: string) => lines.push(line);
  try {
    deepStrictEqual(readTunings(path, log), {}); // nobody has measured, which is no news
    writeTuning(path, "one", tuning);
    writeTuning(path, "two", { ...tuning, subgroups: true });
    writeTuning(path, "one", { ...tuning, tiles: {} });
    deepStrictEqual(readTunings(path, log), { one: { ...tuning, tiles: {} }, two: { ...tuning, subgroups: true } });
    deepStrictEqual(lines, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is damaged, or of other kernels, is left alone with a line that says what to do", async () => {
  const path = await Deno.makeTempFile();
  try {
    writeTuning(path, "one", tuning);
    const good = Deno.readTextFileSync(path);
    const bad: [text: string, line: RegExp][] = [
      ["", /^Cannot use .*: Unexpected end of JSON input; .*deno task tune/],
      ["[]", /it has no kernels and adapters/],
      [good.replace('"columns": 1', '"columns": 3'), /its adapter "one" is \{/],
      [good.replace('"texture"', '"disk"'), /its adapter "one" is \{/],
      [good.replace(/"kernels": "."?/, '"kernels": "~'), /was measured with other kernels: .*deno task tune/],
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
    tunings: { [adapter]: other },
    warm: false,
    log: () => {},
  });
  strictEqual(engine.info.adapter.tuning, tuningDigest(other));
  ok(tuningDigest(other) !== tuningDigest({ ...other, tiles: {} }));
  strictEqual(engine.device.weightStorage, other.weightStorage);
  deepStrictEqual(engine.backend.target.tiles, other.tiles);
});
