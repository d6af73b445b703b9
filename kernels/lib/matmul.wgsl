// What every kernel of the matmul family shares: the left matrix is read from a channels-last picture, one row an output
// pixel and one column a (tap, channel), so that a linear layer is a 1×1 convolution of a picture one pixel high.
// Needs a lib/output_*.wgsl, and but for matmul_texture.wgsl lib/input_buffer.wgsl.
alias Shift = f32;
alias Residual = f32;
const SHIFT = 0u;    // 1: adds shift[image], one row of channels (a timestep's) each `shiftRows` output rows
const RESIDUAL = 0u; // 1: adds residual, of the output's shape
const WRAP = 0u;     // 1: beyond an edge lies the opposite one, not zeros
const ENLARGED = 0u; // 1: the picture convolved is larger than the stored one

struct Shape {
  rows: u32,        // images · outHeight · outWidth
  outHeight: u32,
  outWidth: u32,
  inHeight: u32,    // of the stored picture
  inWidth: u32,
  fullHeight: u32,  // of the picture convolved: the stored one, or its nearest-neighbour enlargement
  fullWidth: u32,
  kernelWidth: u32,
  taps: u32,        // kernelHeight · kernelWidth
  stride: u32,
  padding: u32,     // rows above and columns left; below and right follow from outHeight and outWidth
  in4: u32,         // input channels, in vec4s
  out4: u32,
  shiftRows: u32,
}

@group(0) @binding(2) var<storage, read> bias: array<vec4f>;            // [out4]
@group(0) @binding(3) var<storage, read> shift: array<vec4<Shift>>;    // [image, out4]
@group(0) @binding(4) var<storage, read> residual: array<vec4<Residual>>; // [row, out4]
@group(0) @binding(6) var<uniform> shape: Shape;

// Where the window of one output row begins, worked out once for all taps: divisions are what a tap would spend.
struct Window {
  rows: u32, // image · inHeight, or OUTSIDE for rows past the end
  y: u32,    // of its first tap in the full picture; negative coordinates wrap to huge ones
  x: u32,
}

const OUTSIDE = 0xffffffffu;

fn windowOf(row: u32) -> Window {
  let image = row / (shape.outHeight * shape.outWidth);
  let pixel = row % (shape.outHeight * shape.outWidth);
  return Window(
    select(image * shape.inHeight, OUTSIDE, row >= shape.rows),
    pixel / shape.outWidth * shape.stride - shape.padding,
    pixel % shape.outWidth * shape.stride - shape.padding,
  );
}

// Where the input pixel of a window at a tap begins in x, in vec4s, or OUTSIDE where it lies in the padding.
fn inputPixel(window: Window, tapY: u32, tapX: u32) -> u32 {
  var y = window.y + tapY;
  var x = window.x + tapX;
  if (WRAP == 1u) {
    y = (y + shape.padding * shape.fullHeight) % shape.fullHeight;
    x = (x + shape.padding * shape.fullWidth) % shape.fullWidth;
  }
  // One comparison finds both borders.
  if (window.rows == OUTSIDE || y >= shape.fullHeight || x >= shape.fullWidth) {
    return OUTSIDE;
  }
  if (ENLARGED == 1u) {
    y = y * shape.inHeight / shape.fullHeight;
    x = x * shape.inWidth / shape.fullWidth;
  }
  return ((window.rows + y) * shape.inWidth + x) * shape.in4;
}

// What is added to the sums of a column.
fn biasOf(column4: u32) -> vec4f {
  return bias[min(column4, shape.out4 - 1u)];
}

// Whether the output has this place: tiles reach past its ends.
fn isOutput(row: u32, column4: u32) -> bool {
  return row < shape.rows && column4 < shape.out4;
}

// sum + bias (+ shift) (+ residual), the bias in the sum already
fn finished(row: u32, column4: u32, sum: vec4f) -> vec4f {
  var result = sum;
  if (SHIFT == 1u) {
    result += vec4f(shift[row / shape.shiftRows * shape.out4 + column4]);
  }
  if (RESIDUAL == 1u) {
    result += vec4f(residual[row * shape.out4 + column4]);
  }
  return result;
}
