// One band's share of the whole picture. One invocation per vec4.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size4: u32, first4: u32 } // first4: where the band begins in the picture

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Scalar>>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i < shape.size4) {
    y[shape.first4 + i] = x[i];
  }
}
