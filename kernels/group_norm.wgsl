// Last of three kernels of group_norm: y = x · scale + shift, then SiLU where fused. One invocation per vec4.
const WORKGROUP = 64u;
const SILU = 0u;
alias Input = f32;
alias Output = f32;

struct Shape { size4: u32, imageSize4: u32, channels4: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Input>>;        // [image, pixel, channel4]
@group(0) @binding(1) var<storage, read> scale: array<vec4f>;           // [image, 2, channel4]: scale, shift
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Output>>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let at = i / shape.imageSize4 * 2u * shape.channels4 + i % shape.channels4;
  var v = vec4f(x[i]) * scale[at] + scale[at + shape.channels4];
  if (SILU == 1u) {
    v = v / (1.0 + exp(-v));
  }
  y[i] = vec4<Output>(v);
}
