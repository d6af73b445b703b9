// The U-Net's input: inputScale · latents, once for each half of guidance. One invocation per vec4 of y.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size4: u32, latents4: u32 }

@group(0) @binding(0) var<storage, read> latents: array<vec4f>;
@group(0) @binding(1) var<storage, read> row: array<f32>; // as ops/advance.ts lays it out
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Scalar>>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i < shape.size4) {
    y[i] = vec4<Scalar>(row[0] * latents[i % shape.latents4]);
  }
}
