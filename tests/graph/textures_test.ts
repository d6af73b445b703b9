import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Graph, Storage, Value } from "../../src/graph/graph.ts";
import { assignSlots, assignTextures } from "../../src/graph/slots.ts";
import { textureBytes, textureCopies } from "../../src/graph/textures.ts";
import { portable } from "./targets.ts";

const kernel = new Kernel("example", "");

/** Dispatches of random sizes that read values made before from buffers and textures; some change a named value. */
const graphs = fc.array(
  fc.record({
    pixels: fc.integer({ min: 1, max: 50 }),
    reads: fc.array(fc.record({ of: fc.nat(), fromTexture: fc.boolean() }), { maxLength: 3 }),
    inPlace: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
).map((steps) => {
  const graph = new Graph(portable), state = graph.input("state", [1, 4], "f32"), made: Value[] = [state];
  for (const { pixels, reads, inPlace } of steps) {
    const operands = Object.fromEntries(reads.map(({ of }, at) => [`x${at}`, made[of % made.length]]));
    const textures = reads.flatMap(({ fromTexture }, at) => fromTexture ? [`x${at}`] : []);
    const recording = { operands, textures, workgroups: [1] };
    if (inPlace) graph.update(kernel, "state", { ...recording, operands: { ...operands, state } });
    else made.push(graph.record(kernel, { shape: [pixels, 4], dtype: "f32" }, recording));
  }
  return graph;
});

Deno.test("every dispatch reads what was last written, from buffers and from textures, whoever shares their memory", () => {
  fc.assert(fc.property(graphs, (graph) => {
    const { dispatches } = graph, copies = textureCopies(dispatches);
    const place = (slots: ReturnType<typeof assignSlots>) =>
      new Map(slots.flatMap((slot) => slot.tenants.map(({ storage }) => [storage, slot] as const)));
    const buffers = place(assignSlots(dispatches)), textures = place(assignTextures(dispatches));
    // What each memory holds: whose bytes, as of which write.
    const held = new Map<unknown, string>(), written = new Map<Storage, number>(), names = new Map<Storage, number>();
    const name = (storage: Storage) => names.get(storage) ?? names.set(storage, names.size).get(storage)!;
    const now = (storage: Storage) => `${name(storage)} as of ${written.get(storage) ?? 0}`;
    const memory = (storage: Storage) => buffers.get(storage) ?? storage;
    for (const value of graph.named.values()) held.set(value.storage, now(value.storage));
    for (const [at, { operands, textures: fromTextures, writes }] of dispatches.entries()) {
      for (const storage of copies[at]) {
        strictEqual(held.get(memory(storage)), now(storage));
        held.set(textures.get(storage), now(storage));
      }
      for (const [key, operand] of Object.entries(operands)) {
        if (!(operand instanceof Value) || key === writes) continue;
        const { storage } = operand;
        strictEqual(held.get(fromTextures.includes(key) ? textures.get(storage) : memory(storage)), now(storage));
      }
      const { storage } = operands[writes] as Value;
      written.set(storage, at + 1);
      held.set(memory(storage), now(storage));
    }
  }));
});

Deno.test("a value that many dispatches read from a texture is copied there once, and again when it has changed", () => {
  const graph = new Graph(portable), state = graph.input("state", [1, 4], "f32");
  const read = () =>
    graph.record(kernel, { shape: [1, 4], dtype: "f32" }, {
      operands: { x: state },
      textures: ["x"],
      workgroups: [1],
    });
  read();
  read();
  graph.update(kernel, "state", { operands: { state }, workgroups: [1] });
  read();
  deepStrictEqual(textureCopies(graph.dispatches).map(({ length }) => length), [1, 0, 0, 1]);
});

Deno.test("a texture has whole rows of 1024 texels, or one shorter row", () => {
  deepStrictEqual([16, 160, 16 * 1024, 16 * 1024 + 16].map((bytes) => textureBytes(bytes)), [
    16,
    160,
    16 * 1024,
    32 * 1024,
  ]);
  ok(textureBytes(1) === 16);
});
