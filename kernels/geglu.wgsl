// y = value · gelu(gate), where a row of x holds the values and then the gates. Needs lib/gelu.wgsl.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size4: u32, width4: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;       // [row, 2, width4]
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Scalar>>; // [row, width4]
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let at = i / shape.width4 * 2u * shape.width4 + i % shape.width4;
  y[i] = vec4<Scalar>(vec4f(x[at]) * gelu(vec4f(x[at + shape.width4])));
}
