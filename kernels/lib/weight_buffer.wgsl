// Matmul weights [tap, in, out/4] from a storage buffer: the path of real GPUs.
alias Weight = f32;
@group(0) @binding(1) var<storage, read> weight: array<vec4<Weight>>;

fn loadWeight(i: u32) -> vec4f {
  return vec4f(weight[i]);
}
