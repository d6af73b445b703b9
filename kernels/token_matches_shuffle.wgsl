// Of each source its most similar destination: y = [cosine, destination, 0, 0], the first of equal ones. For software drivers
// whose subgroups all have LANES lanes: each lane owns BLOCKS sources, and subgroupShuffle broadcasts the DESTINATIONS that
// the lanes load. One workgroup, one subgroup, per (LANES · BLOCKS sources, image). Needs lib/tokens.wgsl.
const LANES = 8u;
const BLOCKS = 2u;
const DESTINATIONS = 8u; // at most LANES
const PARTS = 1u;        // vec4s a round; divides channels4

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [image, token, channel4], rows of length 1
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [image, source]
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let source0 = id.x * LANES * BLOCKS;
  let image = id.y;
  let destinations = shape.windowRows * shape.windowColumns;
  var at: array<u32, BLOCKS>;
  var highest: array<f32, BLOCKS>;
  var nearest: array<u32, BLOCKS>;
  var ours: array<vec4f, BLOCKS>;
  var scores: array<f32, BLOCKS * DESTINATIONS>;
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    let source = min(source0 + block * LANES + lane, shape.sources - 1u);
    at[block] = (image * shape.tokens + sourceToken(source)) * shape.channels4;
    highest[block] = -2.0;
    nearest[block] = 0u;
  }
  for (var destination0 = 0u; destination0 < destinations; destination0 += DESTINATIONS) {
    let destination = min(destination0 + min(lane, DESTINATIONS - 1u), destinations - 1u);
    let theirsAt = (image * shape.tokens + destinationToken(destination)) * shape.channels4;
    // unroll
    for (var score = 0u; score < BLOCKS * DESTINATIONS; score++) {
      scores[score] = 0.0;
    }
    for (var round = 0u; round < shape.channels4; round += PARTS) {
      // unroll
      for (var part = 0u; part < PARTS; part++) {
        let theirs = x[theirsAt + round + part];
        // unroll
        for (var block = 0u; block < BLOCKS; block++) {
          ours[block] = x[at[block] + round + part];
        }
        // unroll
        for (var each = 0u; each < DESTINATIONS; each++) {
          let one = subgroupShuffle(theirs, each);
          // unroll
          for (var block = 0u; block < BLOCKS; block++) {
            scores[block * DESTINATIONS + each] += dot(one, ours[block]);
          }
        }
      }
    }
    // unroll
    for (var each = 0u; each < DESTINATIONS; each++) {
      // unroll
      for (var block = 0u; block < BLOCKS; block++) {
        if (destination0 + each < destinations && scores[block * DESTINATIONS + each] > highest[block]) {
          highest[block] = scores[block * DESTINATIONS + each];
          nearest[block] = destination0 + each;
        }
      }
    }
  }
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    let source = source0 + block * LANES + lane;
    if (source < shape.sources) {
      y[image * shape.sources + source] = vec4f(highest[block], f32(nearest[block]), 0.0, 0.0);
    }
  }
}
