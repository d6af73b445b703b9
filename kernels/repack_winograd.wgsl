// Packs rows of a stored 3×3 weight [out, in, 3, 3], transformed for Winograd's F(2×2, 3×3): u = G g Gᵀ (Lavin and Gray 2016,
// section 4.1), as [position, in / 2, out4, 2]: 16 texels of two inputs' 4 output channels an invocation. The source is f32,
// f16 or bf16 in whole u32 words and holds `rows` output rows from `row0` on.
// Needs lib/stored.wgsl and lib/packed_pairs.wgsl.
const WORKGROUP = 64u;

struct Shape { row0: u32, rows: u32, in4: u32, out4: u32, size: u32 }

@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size) {
    return;
  }
  let columns4 = (shape.rows + 3u) / 4u;
  let column4 = i % columns4;
  let pair = i / columns4;
  let first = transformed(2u * pair, column4);
  let second = transformed(2u * pair + 1u, column4);
  // unroll
  for (var position = 0u; position < 16u; position++) {
    let place = (position * shape.in4 * 2u + pair) * shape.out4 + shape.row0 / 4u + column4;
    storePair(place, first[position], second[position]);
  }
}

// G g Gᵀ of four output channels.
fn transformed(inner: u32, column4: u32) -> array<vec4f, 16> {
  var rows: array<vec4f, 12>; // G g, [4, 3]
  // unroll
  for (var column = 0u; column < 3u; column++) {
    let a = tapOf(inner, column4, column);
    let b = tapOf(inner, column4, 3u + column);
    let c = tapOf(inner, column4, 6u + column);
    rows[column] = a;
    rows[3u + column] = (a + b + c) / 2.0;
    rows[6u + column] = (a - b + c) / 2.0;
    rows[9u + column] = c;
  }
  var result: array<vec4f, 16>;
  // unroll
  for (var row = 0u; row < 4u; row++) {
    let a = rows[row * 3u];
    let b = rows[row * 3u + 1u];
    let c = rows[row * 3u + 2u];
    result[row * 4u] = a;
    result[row * 4u + 1u] = (a + b + c) / 2.0;
    result[row * 4u + 2u] = (a - b + c) / 2.0;
    result[row * 4u + 3u] = c;
  }
  return result;
}

// One tap of an input's four output channels.
fn tapOf(inner: u32, column4: u32, tap: u32) -> vec4f {
  var packed = vec4f();
  // unroll
  for (var part = 0u; part < 4u; part++) {
    if (column4 * 4u + part < shape.rows) {
      packed[part] = stored(((column4 * 4u + part) * shape.in4 * 4u + inner) * 9u + tap);
    }
  }
  return packed;
}
