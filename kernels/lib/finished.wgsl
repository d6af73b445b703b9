// What is added to the sums of a matmul or a convolution before they are stored. Needs shift, residual and shape.
alias Shift = f32;
alias Residual = f32;
const SHIFT = 0u;    // 1: adds shift[image], one row of channels (a timestep's) each `shiftRows` output rows
const RESIDUAL = 0u; // 1: adds residual, of the output's shape

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
