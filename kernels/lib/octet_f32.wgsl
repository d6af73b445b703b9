// Eight f32 numbers of a value, from a storage texture 1024 texels wide: two texels.
struct Octet { low: vec4f, high: vec4f }

fn loadOctet(values: texture_storage_2d<rgba32uint, read>, i: u32) -> Octet {
  let low = i * 2u;
  let high = low + 1u;
  return Octet(
    bitcast<vec4f>(textureLoad(values, vec2u(low & 1023u, low >> 10u))),
    bitcast<vec4f>(textureLoad(values, vec2u(high & 1023u, high >> 10u))),
  );
}
