// The sum over a workgroup of LANES invocations, by a tree in workgroup memory.
const LANES = 64u;
var<workgroup> sumTree: array<f32, LANES>;

fn workgroupSum(value: f32, lane: u32) -> f32 {
  workgroupBarrier();
  sumTree[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sumTree[lane] += sumTree[lane + half];
    }
    workgroupBarrier();
  }
  return sumTree[0];
}
