// From the moments of every channel to one scale and shift a channel, so that group_norm is y = x · scale + shift: channels
// of a group are joined as bands are. One invocation per channel.
const WORKGROUP = 64u;

struct Shape { channels: u32, stride: u32, groups: u32, pixels: f32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> moments: array<f32>;  // [2, channel]: mean, squares about it
@group(0) @binding(1) var<storage, read> weight: array<f32>;   // [channel]
@group(0) @binding(2) var<storage, read> bias: array<f32>;     // [channel]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [2, channel]: scale, shift
@group(0) @binding(4) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = id.x * WORKGROUP + lane;
  if (channel >= shape.stride) {
    return;
  }
  if (channel >= shape.channels) { // padding channels stay zero through the norm
    y[channel] = 0.0;
    y[channel + shape.stride] = 0.0;
    return;
  }
  let width = shape.channels / shape.groups; // channels in this group
  let first = channel - channel % width;
  var mean = 0.0;
  for (var c = first; c < first + width; c++) {
    mean += moments[c] / f32(width);
  }
  var squares = 0.0;
  for (var c = first; c < first + width; c++) {
    let away = moments[c] - mean;
    squares += moments[c + shape.stride] + shape.pixels * away * away;
  }
  let variance = max(squares / (f32(width) * shape.pixels), 0.0);
  let scale = weight[channel] / sqrt(variance + shape.epsilon);
  y[channel] = scale;
  y[channel + shape.stride] = bias[channel] - mean * scale;
}
