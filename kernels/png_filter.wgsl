// PNG scanlines, each a filter-type byte (4, Paeth) and then 3 · width filtered bytes (PNG specification, 9.4).
// Scanlines are no whole number of words, so one invocation writes 4 bytes wherever they fall.
const WORKGROUP = 64u;

struct Shape { width: u32, bytes: u32 }

@group(0) @binding(0) var<storage, read> pixels: array<u32>;  // [row, width]: red lowest
@group(0) @binding(1) var<storage, read_write> y: array<u32>; // bytes, four a word, lowest first
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let word = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (word * 4u >= shape.bytes) {
    return;
  }
  var packed = 0u;
  for (var part = 0u; part < 4u; part++) {
    packed |= filtered(word * 4u + part) << (8u * part);
  }
  y[word] = packed;
}

fn filtered(at: u32) -> u32 {
  let stride = 3u * shape.width + 1u;
  let row = at / stride;
  if (at >= shape.bytes) {
    return 0u;
  }
  if (at % stride == 0u) {
    return 4u;
  }
  let column = (at % stride - 1u) / 3u;
  let channel = (at % stride - 1u) % 3u;
  let left = level(row, column - 1u, channel);
  let above = level(row - 1u, column, channel);
  let corner = level(row - 1u, column - 1u, channel);
  let estimate = left + above - corner;
  var predicted = corner;
  if (abs(estimate - left) <= abs(estimate - above) && abs(estimate - left) <= abs(estimate - corner)) {
    predicted = left;
  } else if (abs(estimate - above) <= abs(estimate - corner)) {
    predicted = above;
  }
  return u32(level(row, column, channel) - predicted) & 255u;
}

// A pixel's level; 0 left of the picture and above it, where the unsigned coordinate has wrapped.
fn level(row: u32, column: u32, channel: u32) -> i32 {
  let outside = column >= shape.width || row == 0xffffffffu;
  let pixel = pixels[select(row * shape.width + column, 0u, outside)];
  return select(i32((pixel >> (8u * channel)) & 255u), 0, outside);
}
