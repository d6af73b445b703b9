import assert from "node:assert/strict";
import { writeSafetensors } from "../../src/checkpoint/write.ts";
import { listEmbeddings } from "../../src/engine/embeddings.ts";

Deno.test("listEmbeddings() tells of each word once, whatever its width, and of no other file", () => {
  const [first, second] = [Deno.makeTempDirSync(), Deno.makeTempDirSync()];
  const write = (folder: string, name: string, ...shapes: number[][]) => {
    const tensors = shapes.map((shape, i) => {
      const data = () => new Float32Array(shape.reduce((a, b) => a * b));
      return [`${i}`, { dtype: "f32" as const, shape, data }] as const;
    });
    writeSafetensors(`${folder}/${name}.safetensors`, new Map(tensors));
  };
  try {
    write(first, "style", [3, 768]);
    write(first, "word", [8]);
    write(first, "two", [1, 8], [1, 8]);
    write(first, "long", [76, 8]);
    write(first, "cube", [1, 2, 8]);
    Deno.writeTextFileSync(`${first}/broken.safetensors`, "no header");
    write(second, "style", [1, 8]);
    write(second, "third", [2, 8]);
    const read = new Map(), folders = [first, `${first}/none`, second];
    const style = { name: "style", vectors: 3, width: 768 }, word = { name: "word", vectors: 1, width: 8 };
    assert.deepEqual(listEmbeddings(folders, read), [style, word, { name: "third", vectors: 2, width: 8 }]);
    assert.equal(read.size, 8);
    write(second, "third", [5, 8]);
    Deno.removeSync(`${first}/word.safetensors`);
    assert.deepEqual(listEmbeddings(folders, read), [style, { name: "third", vectors: 5, width: 8 }]);
  } finally {
    for (const folder of [first, second]) Deno.removeSync(folder, { recursive: true });
  }
});
