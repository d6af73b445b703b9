// Attention on software drivers whose subgroups all have LANES lanes: q, k and v from storage textures. Each lane owns BLOCKS
// queries, so that softmax needs no other lane; lanes share the loading of KEYS keys and values, which subgroupShuffle
// broadcasts. One workgroup, one subgroup, per (LANES · BLOCKS queries, head, image).
// Needs lib/attention.wgsl and a lib/octet_*.wgsl.
const LANES = 8u;
const BLOCKS = 2u;
const KEYS = 8u;  // at most LANES
const SIZE8 = 5u; // octets of one head

@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>; // [image, query, head, SIZE8]
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>; // [image, key, head, SIZE8]
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>; // [image, key, head, SIZE8]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let query0 = id.x * LANES * BLOCKS;
  let head = id.y;
  let image = id.z;
  var queryLow: array<vec4f, BLOCKS * SIZE8>;
  var queryHigh: array<vec4f, BLOCKS * SIZE8>;
  var sumLow: array<vec4f, BLOCKS * SIZE8>;
  var sumHigh: array<vec4f, BLOCKS * SIZE8>;
  var highest: array<f32, BLOCKS>;
  var total: array<f32, BLOCKS>;
  var scores: array<f32, BLOCKS * KEYS>;
  var rescale: array<f32, BLOCKS>;
  var low: array<vec4f, BLOCKS>;
  var high: array<vec4f, BLOCKS>;
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    highest[block] = LOWEST;
    let at = headOf(image, query0 + block * LANES + lane, shape.queries, head) / 2u;
    // unroll
    for (var part = 0u; part < SIZE8; part++) {
      let queried = loadOctet(q, at + part);
      queryLow[block * SIZE8 + part] = queried.low * shape.scale;
      queryHigh[block * SIZE8 + part] = queried.high * shape.scale;
    }
  }
  let end = select(shape.keys, min(shape.keys, query0 + LANES * BLOCKS), CAUSAL == 1u);
  for (var key0 = 0u; key0 < end; key0 += KEYS) {
    let keyAt = headOf(image, key0 + min(lane, KEYS - 1u), shape.keys, head) / 2u;
    // Not by its declaration: a compiler may zero that once, before the loop.
    // unroll
    for (var score = 0u; score < BLOCKS * KEYS; score++) {
      scores[score] = 0.0;
    }
    // unroll
    for (var part = 0u; part < SIZE8; part++) {
      let keyed = loadOctet(k, keyAt + part);
      // unroll
      for (var source = 0u; source < KEYS; source++) {
        let low = subgroupShuffle(keyed.low, source);
        let high = subgroupShuffle(keyed.high, source);
        // unroll
        for (var block = 0u; block < BLOCKS; block++) {
          scores[block * KEYS + source] += dot(low, queryLow[block * SIZE8 + part]) + dot(high, queryHigh[block * SIZE8 + part]);
        }
      }
    }
    // unroll
    for (var block = 0u; block < BLOCKS; block++) {
      var maximum = highest[block];
      // unroll
      for (var source = 0u; source < KEYS; source++) {
        if (isHidden(query0 + block * LANES + lane, key0 + source)) {
          scores[block * KEYS + source] = LOWEST;
        }
        maximum = max(maximum, scores[block * KEYS + source]);
      }
      rescale[block] = exp(highest[block] - maximum);
      highest[block] = maximum;
      var added = total[block] * rescale[block];
      // unroll
      for (var source = 0u; source < KEYS; source++) {
        let weight = exp(scores[block * KEYS + source] - maximum);
        scores[block * KEYS + source] = weight;
        added += weight;
      }
      total[block] = added;
    }
    // unroll
    for (var part = 0u; part < SIZE8; part++) {
      let valued = loadOctet(v, keyAt + part);
      // unroll
      for (var block = 0u; block < BLOCKS; block++) {
        low[block] = sumLow[block * SIZE8 + part] * rescale[block];
        high[block] = sumHigh[block * SIZE8 + part] * rescale[block];
      }
      // unroll
      for (var source = 0u; source < KEYS; source++) {
        let partLow = subgroupShuffle(valued.low, source);
        let partHigh = subgroupShuffle(valued.high, source);
        // unroll
        for (var block = 0u; block < BLOCKS; block++) {
          low[block] += scores[block * KEYS + source] * partLow;
          high[block] += scores[block * KEYS + source] * partHigh;
        }
      }
      // unroll
      for (var block = 0u; block < BLOCKS; block++) {
        sumLow[block * SIZE8 + part] = low[block];
        sumHigh[block * SIZE8 + part] = high[block];
      }
    }
  }
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    let query = query0 + block * LANES + lane;
    if (query < shape.queries) {
      let at = headOf(image, query, shape.queries, head);
      // unroll
      for (var part = 0u; part < SIZE8; part++) {
        y[at + 2u * part] = vec4<Scalar>(sumLow[block * SIZE8 + part] / total[block]);
        y[at + 2u * part + 1u] = vec4<Scalar>(sumHigh[block * SIZE8 + part] / total[block]);
      }
    }
  }
}
