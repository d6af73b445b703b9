import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Graph, Storage, Value } from "../../src/graph/graph.ts";
import { assignSlots, assignTextures } from "../../src/graph/slots.ts";
import { moveSteady } from "../../src/graph/steady.ts";
import { textureBytes, textureCopies } from "../../src/graph/textures.ts";
import { portable } from "./targets.ts";

const kernel = new Kernel("example", "");

/** Dispatches of random sizes that read values made before, or a steady input, from buffers and textures; some change a named value. */
const graphs = fc.array(
  fc.record({
    pixels: fc.integer({ min: 1, max: 50 }),
    reads: fc.array(fc.record({ of: fc.nat(), fromTexture: fc.boolean() }), { maxLength: 3 }),
    inPlace: fc.boolean(),
    isSteady: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
).map((steps) => {
  const graph = new Graph(portable),
    state = graph.input("state", [1, 4], "f32"),
    steady = graph.input("steady", [2, 4], "f32", { steady: true });
  const seldom: Value[] = [steady], made: Value[] = [state, steady];
  for (const { pixels, reads, inPlace, isSteady } of steps) {
    const from = isSteady ? seldom : made;
    const operands = Object.fromEntries(reads.map(({ of }, at) => [`x${at}`, from[of % from.length]]));
    const textures = reads.flatMap(({ fromTexture }, at) => fromTexture ? [`x${at}`] : []);
    const recording = { operands, textures, workgroups: [1] };
    if (inPlace) graph.update(kernel, "state", { ...recording, operands: { ...operands, state } });
    else {
      const value = graph.record(kernel, { shape: [pixels, 4], dtype: "f32" }, recording);
      made.push(value);
      if (isSteady && reads.length > 0) seldom.push(value);
    }
  }
  return graph;
});

Deno.test("every dispatch of every run reads what was last written, from buffers and from textures, whoever shares their memory", () => {
  let most = 0;
  fc.assert(fc.property(graphs, (graph) => {
    const { length } = graph.dispatches;
    moveSteady(graph);
    const { dispatches, steady } = graph, copies = textureCopies(dispatches, steady);
    strictEqual(dispatches.length, length);
    most = Math.max(most, steady);
    const place = (slots: ReturnType<typeof assignSlots>) =>
      new Map(slots.flatMap((slot) => slot.tenants.map(({ storage }) => [storage, slot] as const)));
    const buffers = place(assignSlots(dispatches, steady)), textures = place(assignTextures(dispatches));
    // What each memory holds: whose bytes, as of which write.
    const held = new Map<unknown, string>(), written = new Map<Storage, number>(), names = new Map<Storage, number>();
    const name = (storage: Storage) => names.get(storage) ?? names.set(storage, names.size).get(storage)!;
    const now = (storage: Storage) => `${name(storage)} as of ${written.get(storage) ?? 0}`;
    const memory = (storage: Storage) => buffers.get(storage) ?? storage;
    const write = (storage: Storage) => {
      written.set(storage, (written.get(storage) ?? 0) + 1);
      held.set(memory(storage), now(storage));
    };
    const inputs = ["state", "steady"].map((name) => graph.named.get(name)!.storage);
    for (const storage of inputs) held.set(storage, now(storage));
    // Everything, then twice what is not steady, and everything again once the steady input was written.
    for (const from of [0, steady, steady, 0]) {
      for (const storage of from === 0 ? inputs : inputs.slice(0, 1)) write(storage);
      for (const [at, { operands, textures: fromTextures, writes }] of dispatches.entries()) {
        if (at < from) continue;
        for (const storage of copies[at]) {
          strictEqual(held.get(memory(storage)), now(storage));
          held.set(textures.get(storage), now(storage));
        }
        for (const [key, operand] of Object.entries(operands)) {
          if (!(operand instanceof Value) || key === writes) continue;
          const { storage } = operand;
          strictEqual(held.get(fromTextures.includes(key) ? textures.get(storage) : memory(storage)), now(storage));
        }
        write((operands[writes] as Value).storage);
      }
    }
  }));
  ok(most > 3, `at most ${most} of them were steady`);
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
