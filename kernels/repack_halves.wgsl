// Packs rows of a weight stored in f16 as repack_pairs.wgsl does, by moving bits: eight inputs, all their taps and 4 output
// channels an invocation, so that a load brings eight numbers. A software driver pays for each load of each lane.
const WORKGROUP = 64u;
const TAPS = 1u;
const ROWS = 4u;
const PAIRS = 4u;

struct Shape { row0: u32, rows: u32, in8: u32, out4: u32, size: u32 }

@group(0) @binding(0) var<storage, read> words: array<vec4u>; // [row, in / 8, tap]: eight halves each
@group(0) @binding(1) var packedWeights: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size) {
    return;
  }
  let columns4 = (shape.rows + 3u) / 4u;
  let column4 = i % columns4;
  let octet = i / columns4;
  var halves: array<vec4u, ROWS * TAPS>;
  // unroll
  for (var row = 0u; row < ROWS; row++) {
    if (column4 * 4u + row < shape.rows) {
      let begin = ((column4 * 4u + row) * shape.in8 + octet) * TAPS;
      // unroll
      for (var word = 0u; word < TAPS; word++) {
        halves[row * TAPS + word] = words[begin + word];
      }
    }
  }
  // unroll
  for (var tap = 0u; tap < TAPS; tap++) {
    // unroll
    for (var pair = 0u; pair < PAIRS; pair++) {
      // Input k's number at a tap is half k · TAPS + tap of a row's.
      let a = vec4u(
        halves[(2u * pair * TAPS + tap) / 8u][(2u * pair * TAPS + tap) % 8u / 2u],
        halves[TAPS + (2u * pair * TAPS + tap) / 8u][(2u * pair * TAPS + tap) % 8u / 2u],
        halves[2u * TAPS + (2u * pair * TAPS + tap) / 8u][(2u * pair * TAPS + tap) % 8u / 2u],
        halves[3u * TAPS + (2u * pair * TAPS + tap) / 8u][(2u * pair * TAPS + tap) % 8u / 2u],
      ) >> vec4u((2u * pair * TAPS + tap) % 2u * 16u);
      let b = vec4u(
        halves[((2u * pair + 1u) * TAPS + tap) / 8u][((2u * pair + 1u) * TAPS + tap) % 8u / 2u],
        halves[TAPS + ((2u * pair + 1u) * TAPS + tap) / 8u][((2u * pair + 1u) * TAPS + tap) % 8u / 2u],
        halves[2u * TAPS + ((2u * pair + 1u) * TAPS + tap) / 8u][((2u * pair + 1u) * TAPS + tap) % 8u / 2u],
        halves[3u * TAPS + ((2u * pair + 1u) * TAPS + tap) / 8u][((2u * pair + 1u) * TAPS + tap) % 8u / 2u],
      ) >> vec4u(((2u * pair + 1u) * TAPS + tap) % 2u * 16u);
      let low = vec4u(a.xz, b.xz) & vec4u(0xffffu);
      let high = vec4u(a.yw, b.yw) << vec4u(16u);
      let place = ((tap * shape.in8 + octet) * 4u + pair) * shape.out4 + shape.row0 / 4u + column4;
      textureStore(packedWeights, vec2u(place & 1023u, place >> 10u), low | high);
    }
  }
}
