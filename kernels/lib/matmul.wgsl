// What every kernel of the matmul family shares: the left matrix is read from a channels-last picture, one row an output
// pixel and one column a (tap, channel), so that a linear layer is a 1×1 convolution of a picture one pixel high.
// Needs lib/window.wgsl, lib/gelu.wgsl, lib/finished.wgsl, a lib/output_*.wgsl, and but for matmul_texture.wgsl
// lib/input_buffer.wgsl; where lanes of a subgroup own columns, lib/gated_lanes.wgsl.
const GATED = 0u; // 1: columns are vec4s of values and of their gates in turn, and what is stored is value · gelu(gate)

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
  setRows: u32,     // rows multiplied by one set of weights; the next ones by the next set
}

@group(0) @binding(2) var<storage, read> bias: array<vec4f>;            // [out4]
@group(0) @binding(3) var<storage, read> shift: array<vec4<Shift>>;    // [image, out4]
@group(0) @binding(4) var<storage, read> residual: array<vec4<Residual>>; // [row, out4]
@group(0) @binding(6) var<uniform> shape: Shape;

fn windowOf(row: u32) -> Window {
  let image = row / (shape.outHeight * shape.outWidth);
  let pixel = row % (shape.outHeight * shape.outWidth);
  return Window(
    select(image * shape.inHeight, OUTSIDE, row >= shape.rows),
    pixel / shape.outWidth * shape.stride - shape.padding,
    pixel % shape.outWidth * shape.stride - shape.padding,
  );
}

// What is added to the sums of a column. Biases are as stored: of gated columns all values' come before all gates'.
fn biasOf(column4: u32) -> vec4f {
  let column = min(column4, shape.out4 - 1u);
  return bias[select(column, column / 2u + column % 2u * (shape.out4 / 2u), GATED == 1u)];
}

// Whether the output has this place: tiles reach past its ends.
fn isOutput(row: u32, column4: u32) -> bool {
  return row < shape.rows && column4 < shape.out4;
}
