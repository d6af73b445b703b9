import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { configs } from "../../src/cli/bench/sd15.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { fuse } from "../../src/graph/fuse.ts";
import { Graph, Storage, Value } from "../../src/graph/graph.ts";
import { assignSlots, assignTextures, lifetimes } from "../../src/graph/slots.ts";
import { readUNetConfig } from "../../src/models/unet/config.ts";
import { UNet2DConditionModel } from "../../src/models/unet/unet.ts";
import { portable, softwareF16 } from "./targets.ts";

const kernel = new Kernel("example", "");

/** Dispatches of random sizes, each reading up to three values made before it. */
const graphs = fc.array(
  fc.record({
    pixels: fc.integer({ min: 1, max: 50 }),
    reads: fc.array(fc.nat(), { maxLength: 3 }),
    kept: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
).map((steps) => {
  const graph = new Graph(portable), made: Value[] = [graph.input("x", [1, 4], "f32")];
  for (const [i, { pixels, reads, kept }] of steps.entries()) {
    const operands = Object.fromEntries(reads.map((read, at) => [`x${at}`, made[read % made.length]]));
    const y = graph.record(kernel, { shape: [pixels, 4], dtype: "f32" }, { operands, workgroups: [1] });
    if (kept && i % 4 === 0) graph.keep(`y${i}`, y);
    made.push(y);
  }
  return graph;
});

/** The unnamed storages that a graph's dispatches touch. */
function touched(graph: Graph): Set<Storage> {
  const operands = graph.dispatches.flatMap(({ operands }) => Object.values(operands));
  const storages = operands.filter((operand) => operand instanceof Value).map(({ storage }) => storage);
  return new Set(storages.filter(({ name }) => name === undefined));
}

Deno.test("every unnamed value has one slot that is large enough, and named values have none", () => {
  fc.assert(fc.property(graphs, (graph) => {
    const tenants = assignSlots(graph.dispatches).flatMap((slot) => {
      ok(slot.tenants.every(({ storage }) => storage.bytes <= slot.bytes));
      return slot.tenants.map(({ storage }) => storage);
    });
    strictEqual(new Set(tenants).size, tenants.length);
    deepStrictEqual(new Set(tenants), touched(graph));
  }));
});

Deno.test("no two values of a slot are alive at the same dispatch", () => {
  fc.assert(fc.property(graphs, (graph) => {
    for (const { tenants } of assignSlots(graph.dispatches)) {
      const inOrder = tenants.toSorted((a, b) => a.first - b.first);
      for (const [i, { first, last }] of inOrder.entries()) {
        ok(first <= last);
        if (i > 0) ok(inOrder[i - 1].last < first);
      }
    }
  }));
});

Deno.test("a value's lifetime spans every dispatch that touches it", () => {
  fc.assert(fc.property(graphs, (graph) => {
    for (const { storage, first, last } of lifetimes(graph.dispatches)) {
      const at = graph.dispatches.flatMap(({ operands }, i) =>
        Object.values(operands).some((operand) => operand instanceof Value && operand.storage === storage) ? [i] : []
      );
      deepStrictEqual([first, last], [at[0], at.at(-1)]);
    }
  }));
});

Deno.test("slots take no more than the values would alone, and no less than those alive together", () => {
  fc.assert(fc.property(graphs, (graph) => {
    const alive = graph.dispatches.map((_, i) =>
      lifetimes(graph.dispatches)
        .filter(({ first, last }) => first <= i && i <= last)
        .reduce((sum, { storage }) => sum + storage.bytes, 0)
    );
    const taken = assignSlots(graph.dispatches).reduce((sum, { bytes }) => sum + bytes, 0);
    const alone = [...touched(graph)].reduce((sum, { bytes }) => sum + bytes, 0);
    ok(Math.max(...alive) <= taken && taken <= alone);
  }));
});

Deno.test("a chain of any length takes two slots", () => {
  const graph = new Graph(portable);
  let x = graph.input("x", [64, 4], "f32");
  for (let i = 0; i < 20; i++) {
    x = graph.record(kernel, { shape: [64, 4], dtype: "f32" }, { operands: { x }, workgroups: [1] });
  }
  strictEqual(assignSlots(graph.dispatches).length, 2);
});

Deno.test("a guided step of Stable Diffusion 1.5's U-Net at 512 by 512 pixels keeps to 170 MB of slots in f16 with a software driver's textures, 165 in f32", () => {
  // Weights are not needed to record it.
  const unet = new UNet2DConditionModel(readUNetConfig(configs.unet));
  for (const [target, megabytes] of [[softwareF16, 170], [portable, 165]] as const) {
    const graph = new Graph(target), dtype = target.operandType;
    const sample = graph.input("sample", [2, 64, 64, 4], dtype);
    const [timestep, context] = [graph.input("timestep", [1, 320], dtype), graph.input("context", [2, 77, 768], dtype)];
    graph.keep("prediction", unet.forward(sample, timestep, context));
    fuse(graph);
    const slots = [...assignSlots(graph.dispatches), ...assignTextures(graph.dispatches)],
      bytes = slots.reduce((sum, slot) => sum + slot.bytes, 0);
    const alone = lifetimes(graph.dispatches).reduce((sum, { storage }) => sum + storage.bytes, 0);
    ok(bytes <= megabytes * 1e6, `${slots.length} slots take ${bytes} bytes`);
    ok(alone > 10 * bytes, `${alone} bytes without sharing`);
  }
});
