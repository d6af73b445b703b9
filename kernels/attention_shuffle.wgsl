// Attention on devices whose subgroups all have LANES lanes. One workgroup, one subgroup, per (block of QUERIES, head, image).
// Scores: each lane owns KEYS / LANES keys. Weighted sum: each lane owns COLUMNS vec4 columns. Needs lib/attention.wgsl.
const LANES = 8u;
const BUTTERFLY = 3u; // log2(LANES)
const QUERIES = 8u;
const KEYS = 8u;
const COLUMNS = 2u; // ⌈size4 / LANES⌉
const PARTS = 1u; // vec4s of a head in one round of the score loop; divides size4
const QUERY_BLOCKS = QUERIES / LANES;
const KEY_BLOCKS = KEYS / LANES;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let query0 = id.x * QUERIES;
  let head = id.y;
  let image = id.z;
  var scores: array<f32, QUERIES * KEY_BLOCKS>;
  var highest: array<f32, QUERIES>;
  var total: array<f32, QUERIES>; // of this lane's keys; joined at the end
  var sum: array<vec4f, QUERIES * COLUMNS>;
  var queryAt: array<u32, QUERY_BLOCKS>;
  var keyAt: array<u32, KEY_BLOCKS>;
  var queryPart: array<vec4f, QUERY_BLOCKS>;
  var keyPart: array<vec4f, KEY_BLOCKS>;
  // unroll
  for (var query = 0u; query < QUERIES; query++) {
    highest[query] = LOWEST;
  }
  // unroll
  for (var block = 0u; block < QUERY_BLOCKS; block++) {
    queryAt[block] = headOf(image, query0 + block * LANES + lane, shape.queries, head);
  }
  let end = select(shape.keys, min(shape.keys, query0 + QUERIES), CAUSAL == 1u);
  for (var key0 = 0u; key0 < end; key0 += KEYS) {
    // unroll
    for (var block = 0u; block < KEY_BLOCKS; block++) {
      keyAt[block] = headOf(image, key0 + block * LANES + lane, shape.keys, head);
      // unroll
      for (var query = 0u; query < QUERIES; query++) {
        scores[query * KEY_BLOCKS + block] = 0.0;
      }
    }
    for (var i = 0u; i < shape.size4; i += PARTS) {
      // unroll
      for (var part = 0u; part < PARTS; part++) {
        // unroll
        for (var block = 0u; block < KEY_BLOCKS; block++) {
          keyPart[block] = vec4f(k[keyAt[block] + i + part]);
        }
        // unroll
        for (var block = 0u; block < QUERY_BLOCKS; block++) {
          queryPart[block] = vec4f(q[queryAt[block] + i + part]) * shape.scale;
          // unroll
          for (var source = 0u; source < LANES; source++) {
            let queried = subgroupShuffle(queryPart[block], source);
            // unroll
            for (var keyBlock = 0u; keyBlock < KEY_BLOCKS; keyBlock++) {
              scores[(block * LANES + source) * KEY_BLOCKS + keyBlock] += dot(queried, keyPart[keyBlock]);
            }
          }
        }
      }
    }
    // unroll
    for (var query = 0u; query < QUERIES; query++) {
      var maximum = highest[query];
      // unroll
      for (var block = 0u; block < KEY_BLOCKS; block++) {
        if (isHidden(query0 + query, key0 + block * LANES + lane)) {
          scores[query * KEY_BLOCKS + block] = LOWEST;
        }
        maximum = max(maximum, scores[query * KEY_BLOCKS + block]);
      }
      // unroll
      for (var bit = 0u; bit < BUTTERFLY; bit++) {
        maximum = max(maximum, subgroupShuffleXor(maximum, 1u << bit));
      }
      let rescale = exp(highest[query] - maximum);
      highest[query] = maximum;
      total[query] *= rescale;
      // unroll
      for (var column = 0u; column < COLUMNS; column++) {
        sum[query * COLUMNS + column] *= rescale;
      }
      // unroll
      for (var block = 0u; block < KEY_BLOCKS; block++) {
        let weight = exp(scores[query * KEY_BLOCKS + block] - maximum);
        scores[query * KEY_BLOCKS + block] = weight;
        total[query] += weight;
      }
    }
    // unroll
    for (var block = 0u; block < KEY_BLOCKS; block++) {
      // unroll
      for (var source = 0u; source < LANES; source++) {
        let valueAt = headOf(image, key0 + block * LANES + source, shape.keys, head);
        // unroll
        for (var column = 0u; column < COLUMNS; column++) {
          let part = vec4f(v[valueAt + min(column * LANES + lane, shape.size4 - 1u)]);
          // unroll
          for (var query = 0u; query < QUERIES; query++) {
            sum[query * COLUMNS + column] += subgroupShuffle(scores[query * KEY_BLOCKS + block], source) * part;
          }
        }
      }
    }
  }
  // unroll
  for (var query = 0u; query < QUERIES; query++) {
    var all = total[query];
    // unroll
    for (var bit = 0u; bit < BUTTERFLY; bit++) {
      all += subgroupShuffleXor(all, 1u << bit);
    }
    // unroll
    for (var column = 0u; column < COLUMNS; column++) {
      let i = column * LANES + lane;
      if (query0 + query < shape.queries && i < shape.size4) {
        y[headOf(image, query0 + query, shape.queries, head) + i] = vec4<Scalar>(sum[query * COLUMNS + column] / all);
      }
    }
  }
}
