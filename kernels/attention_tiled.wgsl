// Attention through workgroup memory, for any device. One workgroup per (block of QUERIES, head, image), THREADS keys at a
// time. Scores: one key a thread. Weighted sum: PAIRS (query, vec4 column) pairs a thread. Needs lib/attention.wgsl.
const THREADS = 64u;
const QUERIES = 8u;
const SIZE4 = 16u;  // vec4s of one head, at least shape.size4
const PAIRS = 2u;   // ⌈QUERIES · SIZE4 / THREADS⌉

var<workgroup> queryTile: array<vec4f, QUERIES * SIZE4>;
var<workgroup> weights: array<f32, QUERIES * THREADS>; // scores, then their exponentials
var<workgroup> highest: array<f32, QUERIES>;
var<workgroup> rescale: array<f32, QUERIES>;
var<workgroup> total: array<f32, QUERIES>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let query0 = id.x * QUERIES;
  let head = id.y;
  let image = id.z;
  var sum: array<vec4f, PAIRS>;
  for (var at = thread; at < QUERIES * shape.size4; at += THREADS) {
    let query = at / shape.size4;
    let i = at % shape.size4;
    queryTile[query * SIZE4 + i] = vec4f(q[headOf(image, query0 + query, shape.queries, head) + i]) * shape.scale;
  }
  if (thread < QUERIES) {
    highest[thread] = LOWEST;
    total[thread] = 0.0;
  }
  let end = select(shape.keys, min(shape.keys, query0 + QUERIES), CAUSAL == 1u);
  for (var key0 = 0u; key0 < end; key0 += THREADS) {
    workgroupBarrier();
    let keyAt = headOf(image, key0 + thread, shape.keys, head);
    var scores = array<f32, QUERIES>(); // written out: a bare declaration is zeroed only once, not in every round
    for (var i = 0u; i < shape.size4; i++) {
      let part = vec4f(k[keyAt + i]);
      // unroll
      for (var query = 0u; query < QUERIES; query++) {
        scores[query] += dot(queryTile[query * SIZE4 + i], part);
      }
    }
    // unroll
    for (var query = 0u; query < QUERIES; query++) {
      weights[query * THREADS + thread] = select(scores[query], LOWEST, isHidden(query0 + query, key0 + thread));
    }
    workgroupBarrier();
    if (thread < QUERIES) {
      // Four keys a round: a software driver runs only so many rounds.
      var maximum = highest[thread];
      for (var key = 0u; key < THREADS; key += 4u) {
        // unroll
        for (var part = 0u; part < 4u; part++) {
          maximum = max(maximum, weights[thread * THREADS + key + part]);
        }
      }
      rescale[thread] = exp(highest[thread] - maximum);
      highest[thread] = maximum;
      total[thread] *= rescale[thread];
      for (var key = 0u; key < THREADS; key += 4u) {
        // unroll
        for (var part = 0u; part < 4u; part++) {
          let weight = exp(weights[thread * THREADS + key + part] - maximum);
          weights[thread * THREADS + key + part] = weight;
          total[thread] += weight;
        }
      }
    }
    workgroupBarrier();
    var value: array<u32, PAIRS>; // where the pair's column of the next key's v is
    // unroll
    for (var pair = 0u; pair < PAIRS; pair++) {
      let at = pair * THREADS + thread;
      value[pair] = headOf(image, key0, shape.keys, head) + at % shape.size4;
      sum[pair] *= rescale[min(at / shape.size4, QUERIES - 1u)];
    }
    // One loop for all pairs: one each would pass a software driver's budget of iterations at 4,096 keys.
    let count = min(THREADS, shape.keys - key0);
    for (var key = 0u; key < count; key++) {
      // unroll
      for (var pair = 0u; pair < PAIRS; pair++) {
        let query = min((pair * THREADS + thread) / shape.size4, QUERIES - 1u);
        sum[pair] += weights[query * THREADS + key] * vec4f(v[value[pair] + key * shape.heads * shape.size4]);
      }
    }
  }
  workgroupBarrier();
  // unroll
  for (var pair = 0u; pair < PAIRS; pair++) {
    let at = pair * THREADS + thread;
    let query = at / shape.size4;
    if (query < QUERIES && query0 + query < shape.queries) {
      y[headOf(image, query0 + query, shape.queries, head) + at % shape.size4] = vec4<Scalar>(sum[pair] / total[query]);
    }
  }
}
