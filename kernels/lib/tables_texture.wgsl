// Rows of two tables from storage textures 1024 texels wide: tokens [token, width4] and their places [length, width4]. In f32
// CLIP's table is larger than the 128 MiB that a software driver binds of a buffer.
alias Weights = texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var table: Weights;
@group(0) @binding(2) var positions: Weights;

fn loadToken(i: u32) -> vec4f {
  return textureLoad(table, vec2u(i & 1023u, i >> 10u));
}

fn loadPosition(i: u32) -> vec4f {
  return textureLoad(positions, vec2u(i & 1023u, i >> 10u));
}
