// Second of three kernels of group_norm: from the sums to one scale and shift a channel, so that y = x · scale + shift.
// Channels of a group are joined by the parallel formula of Chan et al. (1979): squares about each channel's own mean,
// plus the spread of those means. One workgroup per (group, image).
const WORKGROUP = 64u;
alias Input = f32;

struct Shape { pixels: u32, channels: u32, channels4: u32, groups: u32, chunks: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<Input>;        // [image, pixel, channels4 · 4]
@group(0) @binding(1) var<storage, read> sums: array<f32>;        // [image, chunk, 2, channels4 · 4]
@group(0) @binding(2) var<storage, read> weight: array<f32>;      // [channel]
@group(0) @binding(3) var<storage, read> bias: array<f32>;        // [channel]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;     // [image, 2, channels4 · 4]: scale, shift
@group(0) @binding(5) var<uniform> shape: Shape;

var<workgroup> partial: array<vec2f, WORKGROUP>; // of channel means, and of squares about them

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = shape.channels / shape.groups; // channels in this group
  let stride = shape.channels4 * 4u;
  let image = id.y;
  let first = id.x * width;
  let count = f32(shape.pixels);
  var means = 0.0;
  var squares = 0.0;
  // Two passes over the sums: the group's mean first, then squares about it.
  for (var c = lane; c < width; c += WORKGROUP) {
    means += channelMean(image, first + c, stride);
  }
  partial[lane] = vec2f(means, 0.0);
  let mean = workgroupTotal(lane).x / f32(width);
  for (var c = lane; c < width; c += WORKGROUP) {
    let sum = channelSum(image, first + c, stride);
    let away = channelMean(image, first + c, stride) - mean;
    squares += sum.y - sum.x * sum.x / count + count * away * away;
  }
  workgroupBarrier();
  partial[lane] = vec2f(0.0, squares);
  let variance = max(workgroupTotal(lane).y / (f32(width) * count), 0.0);
  let inverse = 1.0 / sqrt(variance + shape.epsilon);
  for (var c = lane; c < width; c += WORKGROUP) {
    let scale = weight[first + c] * inverse;
    y[image * 2u * stride + first + c] = scale;
    y[(image * 2u + 1u) * stride + first + c] = bias[first + c] - mean * scale;
  }
  // Padding channels stay zero through the norm.
  if (id.x == shape.groups - 1u && lane < stride - shape.channels) {
    y[image * 2u * stride + shape.channels + lane] = 0.0;
    y[(image * 2u + 1u) * stride + shape.channels + lane] = 0.0;
  }
}

// Sum and squares of x - origin over all chunks.
fn channelSum(image: u32, channel: u32, stride: u32) -> vec2f {
  var total = vec2f();
  for (var chunk = 0u; chunk < shape.chunks; chunk++) {
    let at = (image * shape.chunks + chunk) * 2u * stride + channel;
    total += vec2f(sums[at], sums[at + stride]);
  }
  return total;
}

fn channelMean(image: u32, channel: u32, stride: u32) -> f32 {
  let origin = f32(x[image * shape.pixels * stride + channel]);
  return origin + channelSum(image, channel, stride).x / f32(shape.pixels);
}

fn workgroupTotal(lane: u32) -> vec2f {
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  return partial[0];
}
