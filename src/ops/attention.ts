/** softmax(q · kᵀ / √d) · v in one dispatch, whatever the length. */
import shuffleSource from "../../kernels/attention_shuffle.wgsl" with { type: "text" };
import textureSource from "../../kernels/attention_texture.wgsl" with { type: "text" };
import tiledSource from "../../kernels/attention_tiled.wgsl" with { type: "text" };
import attentionSource from "../../kernels/lib/attention.wgsl" with { type: "text" };
import bufferSource from "../../kernels/lib/attention_buffer.wgsl" with { type: "text" };
import octetF16 from "../../kernels/lib/octet_f16.wgsl" with { type: "text" };
import octetF32 from "../../kernels/lib/octet_f32.wgsl" with { type: "text" };
import regroupSource from "../../kernels/regroup.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { maxLoops, rowsOf, spread, type Value } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const shuffle = new Kernel("attention_shuffle", attentionSource + bufferSource + shuffleSource);
const tiled = new Kernel("attention_tiled", attentionSource + bufferSource + tiledSource);
const texture = {
  f32: new Kernel("attention_texture", attentionSource + octetF32 + textureSource),
  f16: new Kernel("attention_texture f16", attentionSource + octetF16 + textureSource),
};
const regroupKernel = new Kernel("regroup", regroupSource);

/** All that one way or another goes by. */
export const attentionKernels: readonly Kernel[] = [shuffle, tiled, ...Object.values(texture)];

/** Vec4s of the widest head whose queries a lane owns whole. */
const widestOwned = 40;

/**
 * `q` [images, queries, channels] attends to `k` and `v` [images, keys, channels], the channels being `heads` heads
 * side by side. `causal`: a query sees the keys up to its own place.
 */
export function attention(
  q: Value,
  k: Value,
  v: Value,
  { heads, causal = false }: { heads: number; causal?: boolean },
): Value {
  const [images, queries, channels] = q.shape;
  if (channels % heads) throw new RangeError(`Cannot attend: ${channels} channels do not split into ${heads} heads`);
  const size = channels / heads, scale = 1 / Math.sqrt(size);
  if (size % 4 === 0) return attend(q, k, v, heads, size / 4, scale, causal);
  const padded = Math.ceil(size / 4) * 4;
  const [widerQ, widerK, widerV] = [q, k, v].map((value) => regroup(value, heads, size, padded));
  return regroup(attend(widerQ, widerK, widerV, heads, padded / 4, scale, causal), heads, padded, size)
    .view([images, queries, channels]);
}

function attend(q: Value, k: Value, v: Value, heads: number, size4: number, scale: number, causal: boolean): Value {
  const [images, queries] = q.shape, keys = k.shape[1], { subgroupSize: LANES, weightStorage } = q.graph.target;
  const common = { Scalar: q.dtype, CAUSAL: Number(causal) };
  // Lanes that own queries keep them and their sums in registers: a head of 512 has too many.
  if (LANES && weightStorage === "texture" && size4 % 2 === 0 && size4 <= widestOwned && q.dtype !== "u32") {
    // Short attentions are over before their rounds matter, and short rounds compile several times faster.
    const isShort = queries < 1024;
    const BLOCKS = isShort || size4 > 12 ? 1 : 2, KEYS = isShort || size4 > 20 ? Math.min(8, LANES) : LANES;
    return q.graph.record(texture[q.dtype], q, {
      operands: { q, k, v },
      textures: ["q", "k", "v"],
      constants: { ...common, LANES, BLOCKS, KEYS, SIZE8: size4 / 2 },
      shape: { queries, keys, heads, size4, scale },
      workgroups: [Math.ceil(queries / (LANES * BLOCKS)), heads, images],
      flops: 16 * images * heads * queries * keys * size4,
      loops: Math.ceil(keys / KEYS),
    });
  }
  // Through workgroup memory the queries of a block lie there whole: 16 KiB is what every device has.
  const QUERIES = LANES ? Math.max(LANES, 8) : size4 > 64 ? 4 : 8;
  let KEYS = LANES || 64, PARTS = 1;
  const loops = () => Math.ceil(keys / KEYS) * (size4 / PARTS + 1);
  // The VAE's one head of 512 over 64 × 64 pixels would loop too long for 8 lanes: several vec4s a round first, for
  // longer blocks of keys take 10 seconds and more to compile.
  while (LANES && loops() > maxLoops) {
    if (PARTS < 4 && size4 % (2 * PARTS) === 0) PARTS *= 2;
    else KEYS *= 2;
  }
  return q.graph.record(LANES ? shuffle : tiled, q, {
    operands: { q, k, v },
    constants: LANES
      ? { ...common, LANES, BUTTERFLY: Math.log2(LANES), QUERIES, KEYS, PARTS, COLUMNS: Math.ceil(size4 / LANES) }
      : { ...common, QUERIES, SIZE4: size4, PAIRS: Math.ceil(QUERIES * size4 / 64) },
    shape: { queries, keys, heads, size4, scale },
    workgroups: [Math.ceil(queries / QUERIES), heads, images],
    flops: 16 * images * heads * queries * keys * size4,
    // Through workgroup memory also: each block's maximum, exponentials and weighted sum, and the queries once.
    loops: loops() +
      (LANES ? 0 : Math.ceil(keys / KEYS) * (KEYS / 4 + KEYS / 4 + KEYS) + Math.ceil(QUERIES * size4 / 64)),
  });
}

/** Cuts or pads each of `heads` groups of channels from one size to another. */
function regroup(x: Value, heads: number, from: number, to: number): Value {
  const shape = [...x.shape.slice(0, -1), heads * to], rows = rowsOf(shape);
  const xStride = Math.ceil(heads * from / 4) * 4, yStride = Math.ceil(heads * to / 4) * 4;
  return x.graph.record(regroupKernel, { shape, dtype: x.dtype }, {
    operands: { x },
    constants: { Scalar: x.dtype },
    shape: { size: rows * yStride, groups: heads, xSize: from, ySize: to, xStride, yStride },
    workgroups: spread(Math.ceil(rows * yStride / WORKGROUP)),
  });
}
