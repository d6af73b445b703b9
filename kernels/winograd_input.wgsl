// The windows of Winograd's F(2×2, 3×3), transformed: v = Bᵀ d B, where d is the 4×4 pixels that 2×2 outputs read (Lavin and
// Gray 2016, section 4.1). One tile and eight channels an invocation.
// Needs lib/halves.wgsl, lib/window.wgsl and a lib/octet_*.wgsl.
const WORKGROUP = 64u;

struct Shape {
  tile0: u32,      // tiles of the picture before the first one here
  tiles: u32,
  setRows: u32,    // rows of y a position, tiles or more
  imageTiles: u32,
  tilesX: u32,     // in a row of the picture
  inHeight: u32,   // of the stored picture
  inWidth: u32,
  fullHeight: u32, // of the picture convolved: the stored one, or its nearest-neighbour enlargement
  fullWidth: u32,
  padding: u32,
  in4: u32,
}

@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;     // [image, inHeight, inWidth, in4 / 2]
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;        // [position, setRows, in4 / 2], halves
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  let in8 = shape.in4 / 2u;
  if (i >= shape.tiles * in8) {
    return;
  }
  let octet = i % in8;
  let tile = shape.tile0 + i / in8;
  let inImage = tile % shape.imageTiles;
  let window = Window(
    tile / shape.imageTiles * shape.inHeight,
    inImage / shape.tilesX * 2u - shape.padding,
    inImage % shape.tilesX * 2u - shape.padding,
  );
  var low: array<vec4f, 16>; // Bᵀ d
  var high: array<vec4f, 16>;
  // unroll
  for (var column = 0u; column < 4u; column++) {
    let a = octetAt(window, 0u, column, octet);
    let b = octetAt(window, 1u, column, octet);
    let c = octetAt(window, 2u, column, octet);
    let d = octetAt(window, 3u, column, octet);
    low[column] = a.low - c.low;
    high[column] = a.high - c.high;
    low[4u + column] = b.low + c.low;
    high[4u + column] = b.high + c.high;
    low[8u + column] = c.low - b.low;
    high[8u + column] = c.high - b.high;
    low[12u + column] = b.low - d.low;
    high[12u + column] = b.high - d.high;
  }
  let stride = shape.setRows * in8;
  // unroll
  for (var row = 0u; row < 4u; row++) {
    let at = row * 4u * stride + i;
    y[at] = octetOf(low[row * 4u] - low[row * 4u + 2u], high[row * 4u] - high[row * 4u + 2u]);
    y[at + stride] = octetOf(low[row * 4u + 1u] + low[row * 4u + 2u], high[row * 4u + 1u] + high[row * 4u + 2u]);
    y[at + 2u * stride] = octetOf(low[row * 4u + 2u] - low[row * 4u + 1u], high[row * 4u + 2u] - high[row * 4u + 1u]);
    y[at + 3u * stride] = octetOf(low[row * 4u + 1u] - low[row * 4u + 3u], high[row * 4u + 1u] - high[row * 4u + 3u]);
  }
}

// Eight channels of one pixel of a window, zeros beyond the picture.
fn octetAt(window: Window, row: u32, column: u32, octet: u32) -> Octet {
  let pixel = inputPixel(window, row, column);
  let isInside = pixel != OUTSIDE;
  let channels = loadOctet(x, select(0u, pixel / 2u, isInside) + octet);
  return Octet(select(vec4f(), channels.low, isInside), select(vec4f(), channels.high, isInside));
}

fn octetOf(low: vec4f, high: vec4f) -> vec4u {
  return vec4u(wordsOf(low), wordsOf(high));
}
