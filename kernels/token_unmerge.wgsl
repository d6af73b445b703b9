// Every token of a picture from the merged ones: its own row, or that of the destination it was merged into.
// One invocation per vec4 of y. Needs lib/tokens.wgsl.
const WORKGROUP = 64u;
alias Scalar = f32;

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;       // [image, row, channel4]
@group(0) @binding(1) var<storage, read> places: array<vec4u>;         // [image, source] of the row
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Scalar>>; // [image, token, channel4]
@group(0) @binding(3) var<uniform> shape: Shape;

// The merged tokens' row of a token.
fn rowOf(image: u32, token: u32) -> u32 {
  let line = token / shape.width;
  let column = token % shape.width;
  let pair = line / 2u;
  var source = pair * (sparseRow() + shape.width) + column;
  if (pair < shape.windowRows) {
    if (line % 2u == 1u) {
      source += sparseRow();
    } else {
      let window = column / 2u;
      if (column % 2u == 0u && window < shape.windowColumns) {
        return keptSources() + pair * shape.windowColumns + window;
      }
      source -= min(window + 1u, shape.windowColumns); // the destinations before it
    }
  }
  return places[image * shape.sources + source].x;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.images * shape.tokens * shape.channels4) {
    return;
  }
  let part = i % shape.channels4;
  let token = i / shape.channels4 % shape.tokens;
  let image = i / shape.channels4 / shape.tokens;
  y[i] = x[(image * keptTokens() + rowOf(image, token)) * shape.channels4 + part];
}
