// Of each source its most similar destination: y = [cosine, destination, 0, 0], the first of equal ones. For real GPUs: each
// of 64 lanes owns a source, and DESTINATIONS are read through workgroup memory, DEPTH vec4s at a time. One workgroup per
// (64 sources, image). Needs lib/tokens.wgsl.
const LANES = 64u; // DESTINATIONS · DEPTH
const DESTINATIONS = 16u;
const DEPTH = 4u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [image, token, channel4], rows of length 1
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [image, source]
@group(0) @binding(2) var<uniform> shape: Shape;

var<workgroup> tile: array<vec4f, LANES>; // [destination, depth]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let image = id.y;
  let source = id.x * LANES + lane;
  let destinations = shape.windowRows * shape.windowColumns;
  let at = (image * shape.tokens + sourceToken(min(source, shape.sources - 1u))) * shape.channels4;
  var highest = -2.0;
  var nearest = 0u;
  var scores: array<f32, DESTINATIONS>;
  for (var destination0 = 0u; destination0 < destinations; destination0 += DESTINATIONS) {
    let destination = min(destination0 + lane / DEPTH, destinations - 1u);
    let theirsAt = (image * shape.tokens + destinationToken(destination)) * shape.channels4;
    // unroll
    for (var score = 0u; score < DESTINATIONS; score++) {
      scores[score] = 0.0;
    }
    for (var round = 0u; round < shape.channels4; round += DEPTH) {
      let part = round + lane % DEPTH;
      let inside = part < shape.channels4;
      tile[lane] = select(vec4f(), x[theirsAt + select(0u, part, inside)], inside);
      workgroupBarrier();
      // unroll
      for (var depth = 0u; depth < DEPTH; depth++) {
        let ours = x[at + min(round + depth, shape.channels4 - 1u)]; // past the end times zeros
        // unroll
        for (var each = 0u; each < DESTINATIONS; each++) {
          scores[each] += dot(tile[each * DEPTH + depth], ours);
        }
      }
      workgroupBarrier();
    }
    // unroll
    for (var each = 0u; each < DESTINATIONS; each++) {
      if (destination0 + each < destinations && scores[each] > highest) {
        highest = scores[each];
        nearest = destination0 + each;
      }
    }
  }
  if (source < shape.sources) {
    y[image * shape.sources + source] = vec4f(highest, f32(nearest), 0.0, 0.0);
  }
}
