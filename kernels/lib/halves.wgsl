// Rounding to f16 by integer arithmetic: the driver's own conversion takes longer in wide vectors (measured: 350 cycles for 16
// numbers).

// Four halves in two words.
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
