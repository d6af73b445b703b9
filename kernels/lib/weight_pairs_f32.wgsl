// Two rows of matmul weights, 4 columns each, from a storage texture 1024 texels wide: [tap, in, out4], two texels.
@group(0) @binding(1) var weight: texture_storage_2d<rgba32float, read>;

struct Rows { first: vec4f, second: vec4f }

fn loadRows(pair: u32, column4: u32, out4: u32) -> Rows {
  let first = pair * 2u * out4 + column4;
  let second = first + out4;
  return Rows(
    textureLoad(weight, vec2u(first & 1023u, first >> 10u)),
    textureLoad(weight, vec2u(second & 1023u, second >> 10u)),
  );
}
