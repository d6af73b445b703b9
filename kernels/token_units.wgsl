// y = x / |x| for each token, so that products are cosines. One workgroup of LANES invocations a token.
// Needs lib/sum_workgroup.wgsl.
alias Input = f32;

struct Shape { channels4: u32, rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Input>>;    // [row, channel4]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;    // [row, channel4]
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = id.x + id.y * grid.x;
  if (row >= shape.rows) {
    return;
  }
  let first = row * shape.channels4;
  var squares = 0.0;
  for (var c = lane; c < shape.channels4; c += LANES) {
    let value = vec4f(x[first + c]);
    squares += dot(value, value);
  }
  let inverse = inverseSqrt(max(workgroupSum(squares, lane), 1e-30)); // a token of zeros stays one
  for (var c = lane; c < shape.channels4; c += LANES) {
    y[first + c] = vec4f(x[first + c]) * inverse;
  }
}
