// The output of a matmul, in words: a software driver stores word by word in any case, and its own conversion to f16 takes
// longer in wide vectors than the integer arithmetic here (measured: 350 cycles for 16 numbers).
alias Output = f32;
@group(0) @binding(5) var<storage, read_write> y: array<u32>; // [row, out4], each 4 words, or 2 of halves

// Whether Output has fewer digits than 2049 needs.
const HALVES = f32(Output(2049.0)) == 2048.0;

fn writeOutput(i: u32, value: vec4f) {
  if (HALVES) {
    let halves = halvesOf(value);
    y[2u * i] = halves.x | (halves.y << 16u);
    y[2u * i + 1u] = halves.z | (halves.w << 16u);
  } else {
    let words = bitcast<vec4u>(value);
    y[4u * i] = words.x;
    y[4u * i + 1u] = words.y;
    y[4u * i + 2u] = words.z;
    y[4u * i + 3u] = words.w;
  }
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
