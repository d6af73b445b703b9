// From [-1, 1] to 8 bits: y = round(clamp(x / 2 + 0.5, 0, 1) · 255), three channels packed in a u32, red lowest.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { pixels: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>; // [pixel, rgb and padding]
@group(0) @binding(1) var<storage, read_write> y: array<u32>;    // [pixel]
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.pixels) {
    return;
  }
  let levels = vec4u(round(clamp(vec4f(x[i]) * 0.5 + 0.5, vec4f(), vec4f(1.0)) * 255.0));
  y[i] = levels.x | (levels.y << 8u) | (levels.z << 16u);
}
