// The output of a matmul, a vec4 at a time.
alias Output = f32;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<Output>>; // [row, out4]

fn writeOutput(i: u32, value: vec4f) {
  y[i] = vec4<Output>(value);
}
