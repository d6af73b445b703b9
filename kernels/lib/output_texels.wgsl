// The output of matmul_texture.wgsl, 16 bytes a store: a software driver stores lane by lane, and what a lane costs hardly
// depends on how much it stores. Halves are rounded by integer arithmetic here, which the driver's own conversion takes
// longer than in wide vectors (measured: 350 cycles for 16 numbers); of them a lane has 8 bytes a row, so that neighbours
// exchange: of two rows, lanes of even columns store the first and lanes of odd columns the second. Halves need an even out4.
alias Output = f32;
@group(0) @binding(5) var<storage, read_write> y: array<vec4u>; // [row, out4], or [row, out4 / 2] of halves

// Whether Output has fewer digits than 2049 needs.
const HALVES = f32(Output(2049.0)) == 2048.0;

// Stores a column of two rows, each once its bias is in its sum. Every lane of a subgroup calls it.
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

fn wordsOf(value: vec4f) -> vec2u {
  let halves = halvesOf(value);
  return halves.xz | (halves.yw << vec2u(16u));
}

// The nearest f16 numbers, ties to even, as their bits; beyond the largest, infinity.
fn halvesOf(value: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(value);
  let magnitude = bits & vec4u(0x7fffffffu);
  // 13 digits fewer and the exponent's offset 15, not 127; a carry out of the digits goes into the exponent, as it should.
  let rounded = (magnitude + vec4u(0xfffu) + ((magnitude >> vec4u(13u)) & vec4u(1u)) - vec4u(112u << 23u)) >> vec4u(13u);
  // Beneath the smallest normal number, 2⁻¹⁴, whole multiples of 2⁻²⁴: one digit of 0.5 in f32.
  let small = bitcast<vec4u>(bitcast<vec4f>(magnitude) + vec4f(0.5)) - vec4u(0x3f000000u);
  let finite = select(min(rounded, vec4u(0x7c00u)), small, magnitude < vec4u(0x38800000u));
  let halves = select(finite, vec4u(0x7e00u), magnitude > vec4u(0x7f800000u)); // not a number
  return halves | ((bits >> vec4u(16u)) & vec4u(0x8000u));
}
