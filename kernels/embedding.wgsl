// y[row] = table[ids[row]] + positions[row mod length]. One invocation per vec4 of y. Needs a lib/tables_*.wgsl.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size4: u32, width4: u32, length: u32 }

@group(0) @binding(0) var<storage, read> ids: array<u32>;              // [row] (each row padded to a vec4 of them)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<Scalar>>; // [row, width4]
@group(0) @binding(4) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let row = i / shape.width4;
  let column4 = i % shape.width4;
  let token = loadToken(ids[row * 4u] * shape.width4 + column4);
  y[i] = vec4<Scalar>(token + loadPosition(row % shape.length * shape.width4 + column4));
}
