// Which row of the merged tokens each source becomes: its rank by its match's cosine, less those merged; or, for the `merged`
// highest, its destination's row. Of equal ones the earlier comes first. One invocation a source. Needs lib/tokens.wgsl.
const WORKGROUP = 64u;

@group(0) @binding(0) var<storage, read> matches: array<vec4f>; // [image, source] of cosine, destination
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>; // [image, source] of the row
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let source = id.x * WORKGROUP + lane;
  if (source >= shape.sources) {
    return;
  }
  let first = id.y * shape.sources;
  let ours = matches[first + source];
  var rank = 0u;
  for (var other = 0u; other < shape.sources; other++) {
    let cosine = matches[first + other].x;
    rank += select(0u, 1u, cosine > ours.x || (cosine == ours.x && other < source));
  }
  let place = select(rank - shape.merged, keptSources() + u32(ours.y), rank < shape.merged);
  y[first + source] = vec4u(place, 0u, 0u, 0u);
}
