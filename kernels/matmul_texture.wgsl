// y = x · weight by subgroup shuffles, both sides from storage textures, eight channels a round: what a software driver runs
// fastest. Each lane owns COLUMNS vec4 columns and reads its share of the ROWS left rows, which subgroupShuffle broadcasts.
// One workgroup is one subgroup; no workgroup memory and no barrier. For devices whose subgroups all have LANES lanes.
// Needs lib/matmul.wgsl, lib/halves.wgsl, lib/output_texels.wgsl, a lib/octet_*.wgsl and a lib/weight_pairs_*.wgsl.
const LANES = 8u;
const ROWS = 32u;
const COLUMNS = 2u;
const BLOCKS = ROWS / LANES;

@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>; // [image, inHeight, inWidth, in4 / 2]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row0 = (id.y + id.z * 32768u) * ROWS;
  let column0 = id.x * LANES * COLUMNS + lane;
  let in8 = shape.in4 / 2u;
  let out4 = shape.out4; // read here, for in the loop the driver would gather it lane by lane
  var sum: array<vec4f, ROWS * COLUMNS>;
  var window: array<Window, BLOCKS>;
  var pixel: array<u32, BLOCKS>;
  var low: array<vec4f, BLOCKS>;
  var high: array<vec4f, BLOCKS>;
  // unroll
  for (var block = 0u; block < BLOCKS; block++) {
    window[block] = windowOf(row0 + block * LANES + lane);
  }
  let weights = row0 / shape.setRows;
  var tapY = 0u;
  var tapX = 0u;
  for (var tap = 0u; tap < shape.taps; tap++) {
    // unroll
    for (var block = 0u; block < BLOCKS; block++) {
      pixel[block] = inputPixel(window[block], tapY, tapX);
    }
    tapX++;
    if (tapX == shape.kernelWidth) {
      tapX = 0u;
      tapY++;
    }
    for (var channel8 = 0u; channel8 < in8; channel8++) {
      // unroll
      for (var block = 0u; block < BLOCKS; block++) {
        let isInside = pixel[block] != OUTSIDE;
        let channels = loadOctet(x, select(0u, pixel[block] / 2u, isInside) + channel8);
        low[block] = select(vec4f(), channels.low, isInside);
        high[block] = select(vec4f(), channels.high, isInside);
      }
      let pair = ((weights * shape.taps + tap) * in8 + channel8) * 4u;
      // unroll
      for (var column = 0u; column < COLUMNS; column++) {
        let w01 = loadRows(pair, column0 + column * LANES, out4);
        let w23 = loadRows(pair + 1u, column0 + column * LANES, out4);
        let w45 = loadRows(pair + 2u, column0 + column * LANES, out4);
        let w67 = loadRows(pair + 3u, column0 + column * LANES, out4);
        // unroll
        for (var block = 0u; block < BLOCKS; block++) {
          // unroll
          for (var source = 0u; source < LANES; source++) {
            let u = subgroupShuffle(low[block], source);
            let v = subgroupShuffle(high[block], source);
            // One expression an accumulator: updates in turn would spill (measured, 2.6 times slower), and each costs a
            // load, a select by the loop's mask and a store.
            sum[(block * LANES + source) * COLUMNS + column] +=
              u.x * w01.first + u.y * w01.second + u.z * w23.first + u.w * w23.second +
              v.x * w45.first + v.y * w45.second + v.z * w67.first + v.w * w67.second;
          }
        }
      }
    }
  }
  // unroll
  for (var column = 0u; column < COLUMNS; column++) {
    let biased = biasOf(column0 + column * LANES);
    // unroll
    for (var four = 0u; four < ROWS / 4u; four++) {
      let row = row0 + 4u * four;
      let first = sum[4u * four * COLUMNS + column] + biased;
      let second = sum[(4u * four + 1u) * COLUMNS + column] + biased;
      let third = sum[(4u * four + 2u) * COLUMNS + column] + biased;
      let fourth = sum[(4u * four + 3u) * COLUMNS + column] + biased;
      if (GATED == 1u) {
        storeGated(row, column0 + column * LANES, first, second, third, fourth);
      } else {
        storeRows(row, column0 + column * LANES, first, second);
        storeRows(row + 2u, column0 + column * LANES, third, fourth);
      }
    }
  }
}
