// y = x · weight by workgroup-memory tiles: THREADS threads, eight side by side, make a tile of as many rows, 8 rows ×
// THREAD_COLUMNS vec4 columns each, over DEPTH vec4s of the inner dimension at a time. For real GPUs, and wherever
// subgroups vary in size. Needs lib/matmul.wgsl and a lib/weight_*.wgsl.
const THREADS = 64u;
const THREAD_ROWS = 8u;
const THREAD_COLUMNS = 2u;
const DEPTH = 4u;                          // vec4s
const TILE_ROWS = THREADS;                 // each thread loads one
const TILE_COLUMNS = 8u * THREAD_COLUMNS;  // vec4s

var<workgroup> leftTile: array<vec4f, TILE_ROWS * DEPTH>;
var<workgroup> rightTile: array<vec4f, DEPTH * 4u * TILE_COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row0 = (id.y + id.z * 32768u) * TILE_ROWS;
  let column0 = id.x * TILE_COLUMNS;
  let threadRow = thread / 8u;
  let threadColumn = thread % 8u;
  var sum: array<vec4f, THREAD_ROWS * THREAD_COLUMNS>;
  let window = windowOf(row0 + thread);
  for (var tap = 0u; tap < shape.taps; tap++) {
    // The thread loads one left row a tile, all of DEPTH.
    let pixel = inputPixel(window, tap / shape.kernelWidth, tap % shape.kernelWidth);
    for (var inner = 0u; inner < shape.in4; inner += DEPTH) {
      // unroll
      for (var depth = 0u; depth < DEPTH; depth++) {
        let inside = inner + depth < shape.in4;
        leftTile[thread * DEPTH + depth] = select(vec4f(), loadInput(pixel, select(0u, inner + depth, inside)), inside);
      }
      // unroll
      for (var part = 0u; part < DEPTH * 4u * TILE_COLUMNS / THREADS; part++) {
        let at = part * THREADS + thread;
        let depth = at / TILE_COLUMNS; // scalar rows of the right matrix
        let column = at % TILE_COLUMNS;
        let inside = inner * 4u + depth < shape.in4 * 4u && column0 + column < shape.out4;
        let index = (tap * shape.in4 * 4u + inner * 4u + depth) * shape.out4 + column0 + column;
        rightTile[at] = select(vec4f(), loadWeight(select(0u, index, inside)), inside);
      }
      workgroupBarrier();
      // unroll
      for (var depth = 0u; depth < DEPTH; depth++) {
        // unroll
        for (var column = 0u; column < THREAD_COLUMNS; column++) {
          let right = depth * 4u * TILE_COLUMNS + threadColumn * THREAD_COLUMNS + column;
          let w0 = rightTile[right];
          let w1 = rightTile[right + TILE_COLUMNS];
          let w2 = rightTile[right + TILE_COLUMNS * 2u];
          let w3 = rightTile[right + TILE_COLUMNS * 3u];
          // unroll
          for (var row = 0u; row < THREAD_ROWS; row++) {
            let v = leftTile[(threadRow * THREAD_ROWS + row) * DEPTH + depth];
            sum[row * THREAD_COLUMNS + column] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
          }
        }
      }
      workgroupBarrier();
    }
  }
  if (GATED == 1u) {
    // unroll
    for (var pair = 0u; pair < THREAD_COLUMNS / 2u; pair++) {
      let column4 = column0 + threadColumn * THREAD_COLUMNS + 2u * pair;
      let biased = biasOf(column4);
      let gateBiased = biasOf(column4 + 1u);
      // unroll
      for (var row = 0u; row < THREAD_ROWS; row++) {
        let value = sum[row * THREAD_COLUMNS + 2u * pair] + biased;
        let gate = sum[row * THREAD_COLUMNS + 2u * pair + 1u] + gateBiased;
        storeGated(row0 + threadRow * THREAD_ROWS + row, column4, value * gelu(gate));
      }
    }
    return;
  }
  // unroll
  for (var column = 0u; column < THREAD_COLUMNS; column++) {
    let column4 = column0 + threadColumn * THREAD_COLUMNS + column;
    let biased = biasOf(column4);
    // unroll
    for (var row = 0u; row < THREAD_ROWS; row++) {
      storeOutput(row0 + threadRow * THREAD_ROWS + row, column4, sum[row * THREAD_COLUMNS + column] + biased);
    }
  }
}
