// Where two repacked rows of a weight go: a storage texture 1024 texels wide, as lib/weight_pairs_f16.wgsl reads it.
alias Weight = f16; // rounded to here, because a driver may cut what it packs off instead
@group(0) @binding(1) var packedWeights: texture_storage_2d<rgba32uint, write>;

fn storePair(i: u32, first: vec4f, second: vec4f) {
  let a = vec4f(vec4<Weight>(first));
  let b = vec4f(vec4<Weight>(second));
  let halves = vec4u(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
  textureStore(packedWeights, vec2u(i & 1023u, i >> 10u), halves);
}
