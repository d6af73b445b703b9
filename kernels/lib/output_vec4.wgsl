// The output of a matmul, a vec4 at a time.
alias Output = f32;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<Output>>; // [row, out4], or [row, out4 / 2] where gated

fn storeOutput(row: u32, column4: u32, sum: vec4f) {
  if (isOutput(row, column4)) {
    y[row * shape.out4 + column4] = vec4<Output>(finished(row, column4, sum));
  }
}

// Stores what the columns `column4`, of values, and the next one, of their gates, have come to.
fn storeGated(row: u32, column4: u32, gated: vec4f) {
  if (isOutput(row, column4)) {
    y[(row * shape.out4 + column4) / 2u] = vec4<Output>(gated);
  }
}
