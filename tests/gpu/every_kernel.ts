/** Every kernel with every choice of constants that the ops and the loader make, as the text a compiler is given. */
import packedBuffer from "../../kernels/lib/packed_buffer.wgsl" with { type: "text" };
import packedColumn from "../../kernels/lib/packed_column.wgsl" with { type: "text" };
import packedTexture from "../../kernels/lib/packed_texture.wgsl" with { type: "text" };
import stored from "../../kernels/lib/stored.wgsl" with { type: "text" };
import packedPairs from "../../kernels/lib/packed_pairs.wgsl" with { type: "text" };
import repackPairs from "../../kernels/repack_pairs.wgsl" with { type: "text" };
import repackWinograd from "../../kernels/repack_winograd.wgsl" with { type: "text" };
import repackMatmul from "../../kernels/repack_matmul.wgsl" with { type: "text" };
import repackRows from "../../kernels/repack_rows.wgsl" with { type: "text" };
import { type Constants, Kernel } from "../../src/gpu/kernel.ts";
import { specialise } from "../../src/gpu/wgsl.ts";
import { fuse } from "../../src/graph/fuse.ts";
import { Graph, type Target } from "../../src/graph/graph.ts";
import { GatedLinear, Linear } from "../../src/nn/layers.ts";
import { sizeClass, tileSizes } from "../../src/ops/tiles.ts";
import { recordCase } from "../ops/case.ts";
import { tables } from "../ops/tables/mod.ts";

/** A kernel and one choice of its constants. */
export interface Variant {
  kernel: Kernel;
  constants: Constants;
}

/** How a checkpoint stores a number, as kernels/lib/stored.wgsl counts them: f32, f16, bf16. */
const storedTypes = [0, 1, 2];

/** Targets of one device: its subgroups or none, weights in buffers and textures, each way to store numbers. */
export function targets(lanes: readonly number[], { f16 = true } = {}): Target[] {
  const types = (["f32", "f16"] as const).filter((type) => type === "f32" || f16);
  return lanes.flatMap((subgroupSize) =>
    (["buffer", "texture"] as const).flatMap((weightStorage) =>
      types.flatMap((weightType) =>
        types.map((hiddenType): Target => ({
          subgroupSize,
          weightStorage,
          weightType,
          operandType: weightType,
          hiddenType,
        }))
      )
    )
  );
}

/** The variants that the tables of the ops need on `targets`, fused and not, and those of the loader; by their keys. */
export function everyKernel(targets: readonly Target[]): Map<string, Variant> {
  const found = new Map<string, Variant>();
  const add = (kernel: Kernel, constants: Constants) => found.set(kernel.key(constants), { kernel, constants });
  for (const target of targets) {
    for (const { cases } of tables) {
      for (const line of cases) {
        const { graph } = recordCase(line, target);
        for (const { kernel, constants } of graph.dispatches) add(kernel, constants);
        fuse(graph);
        for (const { kernel, constants } of graph.dispatches) add(kernel, constants);
      }
    }
    for (const { kernel, constants } of tuned(target)) add(kernel, constants);
    const { weightType } = target, format = weightType === "f16" ? "rgba16float" : "rgba32float";
    for (const STORED of storedTypes) {
      const Weights = `texture_storage_2d<${format}, write>`;
      add(repack.rows, { Weight: weightType, STORED });
      add(repack.rowsTexture, { Weights, Weight: weightType, STORED });
      if (weightType === "f16") add(repack.winograd, { STORED });
      for (const GATED of [0, 1]) {
        add(repack.buffer, { Weight: weightType, GATED, STORED });
        add(repack.texture, { Weights, Weight: weightType, GATED, STORED });
        if (weightType === "f16") add(repack.pairs, { GATED, STORED });
      }
    }
  }
  return found;
}

/** A matmul, gated and not, in every tile that can be chosen for it: see engine/tune.ts. */
function tuned(target: Target): Variant[] {
  return tileSizes(target.subgroupSize).flatMap((size) => {
    const graph = new Graph({ ...target, tiles: { [sizeClass(64, 4)]: size } });
    const x = graph.input("x", [64, 16], target.operandType);
    for (const layer of [new Linear(16, 16), new GatedLinear(16, 8)]) layer.forward(x);
    return graph.dispatches;
  });
}

/** The loader's kernels, put together as it does. */
const repack = {
  buffer: new Kernel("repack_matmul", stored + packedColumn + packedBuffer + repackMatmul),
  texture: new Kernel("repack_matmul texture", stored + packedColumn + packedTexture + repackMatmul),
  pairs: new Kernel("repack_pairs", stored + packedColumn + packedPairs + repackPairs),
  winograd: new Kernel("repack_winograd", stored + packedPairs + repackWinograd),
  rows: new Kernel("repack_rows", stored + packedBuffer + repackRows),
  rowsTexture: new Kernel("repack_rows texture", stored + packedTexture + repackRows),
};

/** The text that a compiler is given. */
export function codeOf({ kernel, constants }: Variant): string {
  return specialise(kernel.source, constants);
}
