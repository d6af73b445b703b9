// y = x · weight by subgroup shuffles: each lane owns COLUMNS vec4 columns and reads its share of the ROWS left rows, which
// subgroupShuffle broadcasts. One workgroup is one subgroup; no workgroup memory and no barrier.
// For devices whose subgroups all have LANES lanes. Needs lib/matmul.wgsl and a lib/weight_*.wgsl.
const LANES = 8u;
const ROWS = 32u;
const COLUMNS = 2u;
const BLOCKS = ROWS / LANES;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row0 = (id.y + id.z * 32768u) * ROWS;
  let column0 = id.x * LANES * COLUMNS + lane;
  var sum: array<vec4f, ROWS * COLUMNS>;
  var window: array<Window, BLOCKS>;
  var pixel: array<u32, BLOCKS>;
  var left: array<vec4f, BLOCKS>;
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    window[block] = windowOf(row0 + block * LANES + lane);
  }
  for (var tap = 0u; tap < shape.taps; tap++) {
    // unroll
    for (var block = 0u; block < BLOCKS; block++) {
      pixel[block] = inputPixel(window[block], tap / shape.kernelWidth, tap % shape.kernelWidth);
    }
    for (var channel4 = 0u; channel4 < shape.in4; channel4++) {
      // unroll
      for (var block = 0u; block < BLOCKS; block++) {
        left[block] = loadInput(pixel[block], channel4);
      }
      let weights = (tap * shape.in4 + channel4) * 4u * shape.out4 + column0;
      // unroll
      for (var column = 0u; column < COLUMNS; column++) {
        let w0 = loadWeight(weights + column * LANES);
        let w1 = loadWeight(weights + column * LANES + shape.out4);
        let w2 = loadWeight(weights + column * LANES + shape.out4 * 2u);
        let w3 = loadWeight(weights + column * LANES + shape.out4 * 3u);
        // unroll
        for (var block = 0u; block < BLOCKS; block++) {
          // unroll
          for (var source = 0u; source < LANES; source++) {
            let v = subgroupShuffle(left[block], source);
            // One expression an accumulator: four updates in turn would spill (measured, 2.6 times slower).
            sum[(block * LANES + source) * COLUMNS + column] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
          }
        }
      }
    }
  }
  // unroll
  for (var column = 0u; column < COLUMNS; column++) {
    let biased = biasOf(column0 + column * LANES);
    let column4 = column0 + column * LANES;
    // unroll
    for (var pair = 0u; pair < ROWS / 2u; pair++) {
      let row = row0 + 2u * pair;
      let first = sum[2u * pair * COLUMNS + column] + biased;
      let second = sum[(2u * pair + 1u) * COLUMNS + column] + biased;
      if (GATED == 1u) {
        storeGated(row + column4 % 2u, column4, gatedRow(column4, first, second));
      } else {
        storeOutput(row, column4, first);
        storeOutput(row + 1u, column4, second);
      }
    }
  }
}
