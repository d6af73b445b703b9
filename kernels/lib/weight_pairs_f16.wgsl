// Two rows of matmul weights, 4 columns each, from a storage texture 1024 texels wide: [tap, in / 2, out4], a texel the
// eight halves of both.
@group(0) @binding(1) var weight: texture_storage_2d<rgba32uint, read>;

struct Rows { first: vec4f, second: vec4f }

fn loadRows(pair: u32, column4: u32, out4: u32) -> Rows {
  let i = pair * out4 + column4;
  let halves = textureLoad(weight, vec2u(i & 1023u, i >> 10u));
  return Rows(
    vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y)),
    vec4f(unpack2x16float(halves.z), unpack2x16float(halves.w)),
  );
}
