// y = (x - mean) / sqrt(variance + epsilon) * weight + bias over each row of channels, in two passes over the row.
// One workgroup of LANES invocations a row. Needs a lib/sum_*.wgsl.
alias Input = f32;
alias Output = f32;

struct Shape { channels: u32, channels4: u32, rows: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Input>>;       // [row, channel4]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;         // [channel4]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;           // [channel4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<Output>>; // [row, channel4]
@group(0) @binding(4) var<uniform> shape: Shape;

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
  var sum = vec4f(); // padding channels hold zero
  for (var c = lane; c < shape.channels4; c += LANES) {
    sum += vec4f(x[first + c]);
  }
  let mean = workgroupSum(sum.x + sum.y + sum.z + sum.w, lane) / f32(shape.channels);
  var squares = vec4f();
  for (var c = lane; c < shape.channels4; c += LANES) {
    let away = select(vec4f(), vec4f(x[first + c]) - mean, vec4u(c * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(shape.channels));
    squares += away * away;
  }
  let variance = workgroupSum(squares.x + squares.y + squares.z + squares.w, lane) / f32(shape.channels);
  let inverse = 1.0 / sqrt(variance + shape.epsilon);
  for (var c = lane; c < shape.channels4; c += LANES) {
    // weight and bias are zero in the padding, so y is too
    y[first + c] = vec4<Output>((vec4f(x[first + c]) - mean) * inverse * weight[c] + bias[c]);
  }
}
