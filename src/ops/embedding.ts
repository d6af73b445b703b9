/** Token and position embeddings. */
import source from "../../kernels/embedding.wgsl" with { type: "text" };
import withVectorsSource from "../../kernels/embedding_with_vectors.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { type Parameter, spread, type Value } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const kernel = new Kernel("embedding", source);
const withVectorsKernel = new Kernel("embedding_with_vectors", withVectorsSource);

/** `ids` [images, length, 1] of u32 to [images, length, width]: each token's row of `table` plus its place's of `positions`. */
export function embed(ids: Value, table: Parameter, positions: Parameter): Value {
  const [images, length] = ids.shape, width = table.shape[1], dtype = ids.graph.target.hiddenType;
  const width4 = Math.ceil(width / 4), size4 = images * length * width4;
  return ids.graph.record(kernel, { shape: [images, length, width], dtype }, {
    operands: { ids, table, positions },
    constants: { Scalar: dtype, Weight: ids.graph.target.weightType },
    shape: { size4, width4, length },
    workgroups: spread(Math.ceil(size4 / WORKGROUP)),
  });
}

/** As {@link embed}, where ids from the table's length on are rows of `vectors` [count, width], f32. */
export function embedWithVectors(ids: Value, table: Parameter, positions: Parameter, vectors: Value): Value {
  const [images, length] = ids.shape, [vocabulary, width] = table.shape, dtype = ids.graph.target.hiddenType;
  const width4 = Math.ceil(width / 4), size4 = images * length * width4;
  return ids.graph.record(withVectorsKernel, { shape: [images, length, width], dtype }, {
    operands: { ids, table, positions, vectors },
    constants: { Scalar: dtype, Weight: ids.graph.target.weightType },
    shape: { size4, width4, length, vocabulary },
    workgroups: spread(Math.ceil(size4 / WORKGROUP)),
  });
}
