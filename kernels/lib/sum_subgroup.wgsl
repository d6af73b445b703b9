// The sum over a workgroup that is one subgroup of LANES lanes, by a butterfly of shuffles.
const LANES = 8u;
const BUTTERFLY = 3u; // log2(LANES)

fn workgroupSum(value: f32, lane: u32) -> f32 {
  var sum = value;
  // unroll
  for (var bit = 0u; bit < BUTTERFLY; bit++) {
    sum += subgroupShuffleXor(sum, 1u << bit);
  }
  return sum;
}
