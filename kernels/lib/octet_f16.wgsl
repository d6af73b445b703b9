// Eight f16 numbers of a value, from a storage texture 1024 texels wide: one texel.
struct Octet { low: vec4f, high: vec4f }

fn loadOctet(values: texture_storage_2d<rgba32uint, read>, i: u32) -> Octet {
  let halves = textureLoad(values, vec2u(i & 1023u, i >> 10u));
  return Octet(
    vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y)),
    vec4f(unpack2x16float(halves.z), unpack2x16float(halves.w)),
  );
}
