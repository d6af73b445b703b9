// Rows of two tables from storage buffers: tokens [token, width4] and their places [length, width4].
alias Weight = f32;
@group(0) @binding(1) var<storage, read> table: array<vec4<Weight>>;
@group(0) @binding(2) var<storage, read> positions: array<vec4<Weight>>;

fn loadToken(i: u32) -> vec4f {
  return vec4f(table[i]);
}

fn loadPosition(i: u32) -> vec4f {
  return vec4f(positions[i]);
}
