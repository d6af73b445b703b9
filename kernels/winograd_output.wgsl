// The outputs of Winograd's F(2×2, 3×3): y = Aᵀ m A + bias (+ shift) (+ residual), where m is a tile's 16 products (Lavin and
// Gray 2016, section 4.1). One tile and eight channels an invocation.
// Needs lib/finished.wgsl, lib/halves.wgsl and lib/octet_f16.wgsl.
const WORKGROUP = 64u;
alias Output = f32;

struct Shape {
  tile0: u32,      // tiles of the picture before the first one here
  tiles: u32,
  setRows: u32,    // rows of x a position, tiles or more
  imageTiles: u32,
  tilesX: u32,     // in a row of the picture
  outHeight: u32,
  outWidth: u32,
  out4: u32,
  shiftRows: u32,
}

@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;      // [position, setRows, out4 / 2], halves
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;            // [out4]
@group(0) @binding(2) var<storage, read> shift: array<vec4<Shift>>;     // [image, out4]
@group(0) @binding(3) var<storage, read> residual: array<vec4<Residual>>; // [row, out4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4u>;         // [row, out4], or [row, out4 / 2] of halves
@group(0) @binding(5) var<uniform> shape: Shape;

// Whether Output has fewer digits than 2049 needs.
const HALVES = f32(Output(2049.0)) == 2048.0;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  let out8 = shape.out4 / 2u;
  if (i >= shape.tiles * out8) {
    return;
  }
  let octet = i % out8;
  let tile = shape.tile0 + i / out8;
  let inImage = tile % shape.imageTiles;
  let pixelY = inImage / shape.tilesX * 2u;
  let pixelX = inImage % shape.tilesX * 2u;
  let row = (tile / shape.imageTiles * shape.outHeight + pixelY) * shape.outWidth + pixelX;
  let stride = shape.setRows * out8;
  var low: array<vec4f, 8>; // Aᵀ m
  var high: array<vec4f, 8>;
  // unroll
  for (var column = 0u; column < 4u; column++) {
    let a = loadOctet(x, column * stride + i);
    let b = loadOctet(x, (4u + column) * stride + i);
    let c = loadOctet(x, (8u + column) * stride + i);
    let d = loadOctet(x, (12u + column) * stride + i);
    low[column] = a.low + b.low + c.low;
    high[column] = a.high + b.high + c.high;
    low[4u + column] = b.low - c.low - d.low;
    high[4u + column] = b.high - c.high - d.high;
  }
  let biasLow = bias[2u * octet];
  let biasHigh = bias[2u * octet + 1u];
  let hasRight = pixelX + 1u < shape.outWidth;
  // unroll
  for (var down = 0u; down < 2u; down++) {
    let at = row + down * shape.outWidth;
    if (pixelY + down < shape.outHeight) {
      store(
        at,
        octet,
        low[down * 4u] + low[down * 4u + 1u] + low[down * 4u + 2u] + biasLow,
        high[down * 4u] + high[down * 4u + 1u] + high[down * 4u + 2u] + biasHigh,
      );
      if (hasRight) {
        store(
          at + 1u,
          octet,
          low[down * 4u + 1u] - low[down * 4u + 2u] - low[down * 4u + 3u] + biasLow,
          high[down * 4u + 1u] - high[down * 4u + 2u] - high[down * 4u + 3u] + biasHigh,
        );
      }
    }
  }
}

fn store(row: u32, octet: u32, low: vec4f, high: vec4f) {
  let first = finished(row, 2u * octet, low);
  let second = finished(row, 2u * octet + 1u, high);
  let at = row * shape.out4 / 2u + octet;
  if (HALVES) {
    y[at] = vec4u(wordsOf(first), wordsOf(second));
  } else {
    y[2u * at] = bitcast<vec4u>(first);
    y[2u * at + 1u] = bitcast<vec4u>(second);
  }
}
