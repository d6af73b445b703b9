/** Token and position embeddings. */
import source from "../../kernels/embedding.wgsl" with { type: "text" };
import withVectorsSource from "../../kernels/embedding_with_vectors.wgsl" with { type: "text" };
import bufferSource from "../../kernels/lib/tables_buffer.wgsl" with { type: "text" };
import textureSource from "../../kernels/lib/tables_texture.wgsl" with { type: "text" };
import { type Constants, Kernel } from "../gpu/kernel.ts";
import { type Parameter, spread, type Target, type Value } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const kernels = {
  buffer: new Kernel("embedding", bufferSource + source),
  texture: new Kernel("embedding texture", textureSource + source),
};
const withVectorsKernels = {
  buffer: new Kernel("embedding_with_vectors", bufferSource + withVectorsSource),
  texture: new Kernel("embedding_with_vectors texture", textureSource + withVectorsSource),
};

/** How the tables are stored: what a kernel of lib/tables_*.wgsl is specialised by. */
function tablesOf({ weightStorage, weightType }: Target): Constants {
  if (weightStorage === "buffer") return { Weight: weightType };
  return { Weights: `texture_storage_2d<${weightType === "f16" ? "rgba16float" : "rgba32float"}, read>` };
}

/** `ids` [images, length, 1] of u32 to [images, length, width]: each token's row of `table` plus its place's of `positions`. */
export function embed(ids: Value, table: Parameter, positions: Parameter): Value {
  const [images, length] = ids.shape, width = table.shape[1], dtype = ids.graph.target.hiddenType;
  const width4 = Math.ceil(width / 4), size4 = images * length * width4;
  return ids.graph.record(kernels[ids.graph.target.weightStorage], { shape: [images, length, width], dtype }, {
    operands: { ids, table, positions },
    constants: { Scalar: dtype, ...tablesOf(ids.graph.target) },
    shape: { size4, width4, length },
    workgroups: spread(Math.ceil(size4 / WORKGROUP)),
  });
}

/** As {@link embed}, where ids from the table's length on are rows of `vectors` [count, width], f32. */
export function embedWithVectors(ids: Value, table: Parameter, positions: Parameter, vectors: Value): Value {
  const [images, length] = ids.shape, [vocabulary, width] = table.shape, dtype = ids.graph.target.hiddenType;
  const width4 = Math.ceil(width / 4), size4 = images * length * width4;
  return ids.graph.record(
    withVectorsKernels[ids.graph.target.weightStorage],
    { shape: [images, length, width], dtype },
    {
      operands: { ids, table, positions, vectors },
      constants: { Scalar: dtype, ...tablesOf(ids.graph.target) },
      shape: { size4, width4, length, vocabulary },
      workgroups: spread(Math.ceil(size4 / WORKGROUP)),
    },
  );
}
