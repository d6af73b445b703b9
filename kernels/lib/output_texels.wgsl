// The output of matmul_texture.wgsl, 16 bytes a store: a software driver stores lane by lane, and what a lane costs hardly
// depends on how much it stores. Of halves a lane has 8 bytes a row, so that neighbours exchange: of two rows, lanes of even
// columns store the first and lanes of odd columns the second. Halves need an even number of columns. Needs lib/halves.wgsl.
alias Output = f32;
@group(0) @binding(5) var<storage, read_write> y: array<vec4u>; // [row, column], half as many columns of halves

// Whether Output has fewer digits than 2049 needs.
const HALVES = f32(Output(2049.0)) == 2048.0;

// Stores a column of two rows, each once its bias is in its sum. Every lane of a subgroup calls it, those past an end of the
// output too, since neighbours exchange: what they read lies within the bindings, as WGSL has it, and is not stored.
fn storeRows(row: u32, column4: u32, first: vec4f, second: vec4f) {
  let upper = finished(row, column4, first);
  let lower = finished(row + 1u, column4, second);
  if (HALVES) {
    let isOdd = column4 % 2u == 1u;
    let upperWords = wordsOf(upper);
    let lowerWords = wordsOf(lower);
    let given = select(lowerWords, upperWords, isOdd);
    let taken = subgroupShuffleXor(given, 1u);
    let mine = row + column4 % 2u;
    if (isOutput(mine, column4)) {
      y[(mine * shape.out4 + column4) / 2u] = select(vec4u(upperWords, taken), vec4u(taken, lowerWords), isOdd);
    }
  } else {
    if (isOutput(row, column4)) {
      y[row * shape.out4 + column4] = bitcast<vec4u>(upper);
    }
    if (isOutput(row + 1u, column4)) {
      y[(row + 1u) * shape.out4 + column4] = bitcast<vec4u>(lower);
    }
  }
}

// Stores the gated columns of four rows, half as many: of each two rows lanes of even columns have the first and lanes of odd
// columns the second, and of halves every second pair of lanes has the second two rows. Every lane of a subgroup calls it.
fn storeGated(row: u32, column4: u32, first: vec4f, second: vec4f, third: vec4f, fourth: vec4f) {
  let upper = gatedRow(column4, first, second);
  let lower = gatedRow(column4, third, fourth);
  let mine = row + column4 % 2u;
  let column = column4 / 2u;
  let columns = shape.out4 / 2u;
  if (HALVES) {
    let isOdd = column % 2u == 1u;
    let upperWords = wordsOf(upper);
    let lowerWords = wordsOf(lower);
    let given = select(lowerWords, upperWords, isOdd);
    let taken = subgroupShuffleXor(given, 2u);
    let stored = mine + column % 2u * 2u;
    if (isOutput(stored, column4)) {
      y[(stored * columns + column) / 2u] = select(vec4u(upperWords, taken), vec4u(taken, lowerWords), isOdd);
    }
  } else {
    if (isOutput(mine, column4)) {
      y[mine * columns + column] = bitcast<vec4u>(upper);
    }
    if (isOutput(mine + 2u, column4)) {
      y[(mine + 2u) * columns + column] = bitcast<vec4u>(lower);
    }
  }
}
