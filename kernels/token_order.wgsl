// The sources sorted by the row that they become, those of one row as they lie: y[slot] = [token, row]. One invocation a
// source. Needs lib/tokens.wgsl.
const WORKGROUP = 64u;

@group(0) @binding(0) var<storage, read> places: array<vec4u>;  // [image, source] of the row
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>; // [image, slot] of token, row
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let source = id.x * WORKGROUP + lane;
  if (source >= shape.sources) {
    return;
  }
  let first = id.y * shape.sources;
  let ours = places[first + source].x;
  var slot = 0u;
  for (var other = 0u; other < shape.sources; other++) {
    let place = places[first + other].x;
    slot += select(0u, 1u, place < ours || (place == ours && other < source));
  }
  y[first + slot] = vec4u(sourceToken(source), ours, 0u, 0u);
}
