// The latents that sampling starts from: signal · clean + noise · n, with clean = scalingFactor · (a draw from the VAE
// encoder's normal distribution, mean + exp(logvar / 2) · posteriorNoise). Text-to-image has signal 0 and reads no moments.
const WORKGROUP = 64u;
const FROM_IMAGE = 0u;
alias Scalar = f32;

struct Shape { size: u32, channels: u32, stride: u32, momentsStride: u32 }

@group(0) @binding(0) var<storage, read> noise: array<f32>;      // [image, pixel, stride]
@group(0) @binding(1) var<storage, read> posterior: array<f32>;  // [image, pixel, stride]
@group(0) @binding(2) var<storage, read> moments: array<Scalar>; // [1, pixel, momentsStride]: means, log variances
@group(0) @binding(3) var<storage, read> start: array<f32>;      // signal, noise, scalingFactor, pixels an image
@group(0) @binding(4) var<storage, read_write> latents: array<f32>;
@group(0) @binding(5) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size) {
    return;
  }
  let channel = i % shape.stride;
  var value = start[1] * noise[i];
  if (FROM_IMAGE == 1u && channel < shape.channels) {
    let at = i / shape.stride % u32(start[3]) * shape.momentsStride + channel;
    let mean = f32(moments[at]);
    let logVariance = clamp(f32(moments[at + shape.channels]), -30.0, 20.0); // as the reference clamps it
    value += start[0] * start[2] * (mean + exp(0.5 * logVariance) * posterior[i]);
  }
  latents[i] = select(0.0, value, channel < shape.channels);
}
