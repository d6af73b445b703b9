import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { openDevice } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Graph, Parameter, type Target, type Value } from "../../src/graph/graph.ts";
import { createStorage, freeze } from "../../src/graph/plan.ts";
import { profile } from "../../src/graph/profile.ts";
import { concat } from "../../src/ops/concat.ts";
import { add, addRow, gelu, scale, silu } from "../../src/ops/elementwise.ts";
import { linear } from "../../src/ops/matmul.ts";
import { groupNorm } from "../../src/ops/norm.ts";
import { portable } from "./targets.ts";

const device = await openDevice();
Deno.test.afterAll(() => device[Symbol.dispose]());

const ramp = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i) * 2);

Deno.test("a plan writes, runs and reads in logical shapes, whatever the padding", async () => {
  for (const shape of [[3, 4], [2, 3, 5], [7], [1, 1]]) {
    const graph = new Graph(portable);
    graph.keep("y", scale(graph.input("x", shape, "f32"), 2, "f32"));
    using plan = freeze(device, graph);
    const x = ramp(shape.reduce((product, size) => product * size));
    plan.write("x", x);
    plan.run();
    deepStrictEqual(await plan.read("y"), x.map((value) => 2 * value), `[${shape}]`);
  }
});

Deno.test("values in f16 are narrowed when written and widened when read", { ignore: !device.f16 }, async () => {
  const graph = new Graph({ ...portable, operandType: "f16" });
  graph.keep("y", silu(graph.input("x", [2, 3], "f16")));
  using plan = freeze(device, graph);
  plan.write("x", Float32Array.of(0, 1000.3, 0, 0, 0, 2000));
  plan.run();
  deepStrictEqual([...await plan.read("y")], [0, 1000.5, 0, 0, 0, 2000]);
});

Deno.test("a plan runs as often as it is asked to, each time on what was written last", async () => {
  const graph = new Graph(portable), x = graph.input("x", [5, 8], "f32");
  graph.keep("y", add(gelu(silu(gelu(x))), x));
  using plan = freeze(device, graph);
  const results: Float32Array[] = [];
  for (const data of [ramp(40), new Float32Array(40), ramp(40)]) {
    plan.write("x", data);
    plan.run();
    results.push(await plan.read("y"));
  }
  deepStrictEqual(results[2], results[0]);
  ok(results[1].every((value) => value === 0));
});

Deno.test("two plans meet in a shared buffer, which neither frees", async () => {
  using stack = new DisposableStack();
  const h = stack.adopt(createStorage(device, "h", 4 * 8 * 4), (buffer) => buffer.destroy());
  const first = new Graph(portable), second = new Graph(portable);
  first.keep("h", scale(first.input("x", [4, 8], "f32"), 3, "f32"));
  second.keep("y", scale(second.input("h", [4, 8], "f32"), 5, "f32"));
  {
    using plan = freeze(device, first, { h });
    strictEqual(plan.buffer("h"), h);
    strictEqual(plan.report.namedBytes, 4 * 8 * 4, "x alone");
    plan.write("x", new Float32Array(32).fill(1));
    plan.run();
  }
  using plan = freeze(device, second, { h });
  plan.run();
  deepStrictEqual(await plan.read("y"), new Float32Array(32).fill(15));
});

Deno.test("a plan refuses numbers that are not as many as a value has, and names it does not know", async () => {
  const graph = new Graph(portable);
  graph.keep("y", silu(graph.input("x", [2, 3], "f32")));
  using plan = freeze(device, graph);
  throws(() => plan.write("x", new Float32Array(8)), { message: "Cannot write x: 8 numbers given, [2,3] has 6" });
  throws(() => plan.write("z", new Float32Array(8)), { message: 'The plan has no value "z": it has x, y' });
  await rejects(plan.read("z"), { message: 'The plan has no value "z": it has x, y' });
});

Deno.test("a graph whose parameters are not loaded is not frozen", () => {
  const graph = new Graph(portable);
  graph.keep("y", linear(graph.input("x", [2, 4], "f32"), new Parameter([4, 4], "matmul")));
  throws(() => freeze(device, graph), { message: "Cannot freeze a graph whose parameters are not loaded" });
});

Deno.test("a binding that an op forgot is an error with its name", () => {
  const graph = new Graph(portable);
  const source = `@group(0) @binding(0) var<storage, read> forgotten: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = forgotten[0]; }`;
  graph.keep(
    "y",
    graph.record(new Kernel("careless", source), { shape: [4], dtype: "f32" }, {
      operands: {},
      workgroups: [1],
    }),
  );
  throws(() => freeze(device, graph), { message: /^careless.*: nothing is bound to "forgotten"$/ });
});

Deno.test("a plan reports its memory, and its profile has a row for every kind of dispatch", async () => {
  const graph = new Graph(portable), x = graph.input("x", [16, 8], "f32");
  graph.keep("y", gelu(silu(silu(silu(x)))));
  using plan = freeze(device, graph);
  const bytes = 16 * 8 * 4;
  deepStrictEqual(plan.report, {
    dispatches: 4,
    slots: 2,
    slotBytes: 2 * bytes,
    unsharedBytes: 3 * bytes,
    namedBytes: 2 * bytes,
  });
  const rows = await profile(plan, 1);
  deepStrictEqual(rows.map(({ count }) => count).sort(), [1, 3]);
  ok(rows.every(({ ms, label }) => Number.isFinite(ms) && label.startsWith("unary")));
});

/** One step of a random network: which op, and which of the values so far it takes. */
const steps = fc.array(fc.record({ op: fc.nat({ max: 6 }), a: fc.nat(), b: fc.nat() }), {
  minLength: 1,
  maxLength: 14,
});

/** Records the steps on values [2, 3, 3, 8]; every value is kept where `kept` says so, the last one always. */
function record(
  network: readonly { op: number; a: number; b: number }[],
  { weight, wide, channels }: Record<"weight" | "wide" | "channels", Parameter>,
  target: Target,
  { kept }: { kept: boolean },
): Graph {
  const graph = new Graph(target), row = graph.input("row", [2, 8], "f32");
  const values: Value[] = [graph.input("x", [2, 3, 3, 8], "f32")];
  for (const [i, { op, a, b }] of network.entries()) {
    // Mostly the latest value, so that there are chains to fuse.
    const x = a % 3 ? values.at(-1)! : values[a % values.length], other = values[b % values.length];
    const ops: (() => Value)[] = [
      () => silu(x),
      () => add(x, other),
      () => addRow(x, row),
      () => linear(x, weight, channels),
      () => groupNorm(x, channels, channels, { groups: 2 }),
      () => linear(concat(x, other), wide, channels),
      () => gelu(x),
    ];
    const y = ops[op]();
    if (kept) graph.keep(`value ${i}`, y);
    values.push(y);
  }
  if (!kept) graph.keep(`value ${network.length - 1}`, values.at(-1)!);
  return graph;
}

Deno.test("fusing and sharing slots change no number of any network", async () => {
  const buffer = (numbers: Float32Array) => {
    const buffer = createStorage(device, "parameter", numbers.byteLength);
    device.gpu.queue.writeBuffer(buffer, 0, numbers as BufferSource);
    return { buffer };
  };
  const weight = new Parameter([8, 8], "matmul"), wide = new Parameter([8, 16], "matmul");
  const channels = new Parameter([8], "vector");
  weight.resource = buffer(ramp(64).map((value) => value / 4));
  wide.resource = buffer(ramp(128).map((value) => value / 8));
  channels.resource = buffer(ramp(8).map((value) => 1 + value / 4));
  const target = { ...portable, subgroupSize: device.subgroupSize };
  let shared = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (network) => {
      const name = `value ${network.length - 1}`, results: Float32Array[] = [];
      for (const kept of [true, false]) {
        using plan = freeze(device, record(network, { weight, wide, channels }, target, { kept }));
        plan.write("x", ramp(2 * 9 * 8));
        plan.write("row", ramp(16));
        plan.run();
        plan.run(); // whatever the slots hold now must not matter
        results.push(await plan.read(name));
        if (!kept) shared += Number(plan.report.slotBytes < plan.report.unsharedBytes);
      }
      const [alone, together] = results, size = Math.hypot(...alone);
      const difference = Math.hypot(...alone.map((value, i) => value - together[i]));
      ok(alone.every(Number.isFinite) && difference <= 1e-6 * size, `${difference} of ${size}`);
    }),
    { numRuns: 40, seed: 1 },
  );
  ok(shared > 10, "slots were shared");
});
