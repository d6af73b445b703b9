// Mean and squares about it of each channel over the bands so far, from those of the bands before and the sums that
// group_norm_sums made of one more band, by the parallel formula of Chan et al. (1979). One invocation per channel.
const WORKGROUP = 64u;
alias Input = f32;

struct Shape { stride: u32, chunks: u32, pixels: f32, pixelsBefore: f32 } // stride: channels with their padding

@group(0) @binding(0) var<storage, read> before: array<f32>;    // [2, channel]: mean, squares; read where pixelsBefore is not 0
@group(0) @binding(1) var<storage, read> x: array<Input>;       // [pixel, channel]: its first pixel is the sums' origin
@group(0) @binding(2) var<storage, read> sums: array<f32>;      // [chunk, 2, channel]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [2, channel]
@group(0) @binding(4) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = id.x * WORKGROUP + lane;
  if (channel >= shape.stride) {
    return;
  }
  var total = vec2f();
  for (var chunk = 0u; chunk < shape.chunks; chunk++) {
    let at = chunk * 2u * shape.stride + channel;
    total += vec2f(sums[at], sums[at + shape.stride]);
  }
  var mean = f32(x[channel]) + total.x / shape.pixels;
  var squares = total.y - total.x * total.x / shape.pixels;
  if (shape.pixelsBefore > 0.0) {
    let all = shape.pixelsBefore + shape.pixels;
    let away = mean - before[channel];
    squares += before[channel + shape.stride] + away * away * (shape.pixelsBefore * shape.pixels / all);
    mean = before[channel] + away * (shape.pixels / all);
  }
  y[channel] = mean;
  y[channel + shape.stride] = squares;
}
