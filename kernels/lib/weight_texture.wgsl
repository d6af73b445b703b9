// Matmul weights [tap, in, out/4] from a storage texture 1024 texels wide: on a software driver a plain load, where a
// storage buffer costs a bounds test a lane.
alias Weights = texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weight: Weights;

fn loadWeight(i: u32) -> vec4f {
  return textureLoad(weight, vec2u(i & 1023u, i >> 10u));
}
