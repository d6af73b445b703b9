// A glimpse of latents: colour = bias + Σ latents[c] · matrix[c], one packed pixel (red lowest) a latent pixel.
const WORKGROUP = 64u;

struct Shape { pixels: u32, width: u32, rowStride: u32, channels: u32, stride: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [pixel, stride]
@group(0) @binding(1) var<storage, read> matrix: array<vec4f>; // [channels + 1]: RGB in [-1, 1] a channel, then the bias
@group(0) @binding(2) var<storage, read_write> y: array<u32>;  // [row, rowStride]
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let pixel = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (pixel >= shape.pixels) {
    return;
  }
  var colour = matrix[shape.channels];
  for (var channel = 0u; channel < shape.channels; channel++) {
    colour += x[pixel * shape.stride + channel] * matrix[channel];
  }
  let at = pixel / shape.width * shape.rowStride + pixel % shape.width;
  y[at] = pack4x8unorm(vec4f(0.5 * colour.xyz + 0.5, 0.0)); // clamps
}
