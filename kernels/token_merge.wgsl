// The merged tokens: the sources that stay as they are, then each destination's mean with the sources merged into it.
// One invocation per vec4 of y. Needs lib/tokens.wgsl.
const WORKGROUP = 64u;
alias Scalar = f32;

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;       // [image, token, channel4]
@group(0) @binding(1) var<storage, read> order: array<vec4u>;          // [image, slot] of token, row; sorted by the row
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Scalar>>; // [image, row, channel4]
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.images * keptTokens() * shape.channels4) {
    return;
  }
  let part = i % shape.channels4;
  let row = i / shape.channels4 % keptTokens();
  let image = i / shape.channels4 / keptTokens();
  let picture = image * shape.tokens * shape.channels4 + part;
  let slots = image * shape.sources;
  if (row < keptSources()) {
    y[i] = x[picture + order[slots + row].x * shape.channels4];
    return;
  }
  var begin = keptSources(); // the first slot of this row or a later one
  var end = shape.sources;
  while (begin < end) {
    let middle = (begin + end) / 2u;
    if (order[slots + middle].y < row) {
      begin = middle + 1u;
    } else {
      end = middle;
    }
  }
  var sum = vec4f(x[picture + destinationToken(row - keptSources()) * shape.channels4]);
  var count = 1.0;
  for (var slot = begin; slot < shape.sources; slot++) {
    let each = order[slots + slot];
    if (each.y != row) {
      break;
    }
    sum += vec4f(x[picture + each.x * shape.channels4]);
    count += 1.0;
  }
  y[i] = vec4<Scalar>(sum / count);
}
