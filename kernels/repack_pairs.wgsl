// Packs rows of a stored weight [out, in, tap] as [tap, in / 2, out4, 2]: one texel of two inputs' 4 output channels an
// invocation, zeros where out is padded; in is a multiple of 8. The source is f32, f16 or bf16 in whole u32 words and holds `rows` output rows from `row0` on.
// Needs lib/stored.wgsl, lib/packed_column.wgsl and lib/packed_pairs.wgsl.
const WORKGROUP = 64u;

struct Shape { row0: u32, rows: u32, in4: u32, taps: u32, out4: u32, size4: u32 }

@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let columns4 = (shape.rows + 3u) / 4u;
  let column4 = i % columns4;
  let pair = i / columns4;
  let packed = pair * shape.out4 + packedColumn(shape.row0 / 4u + column4);
  storePair(packed, weightsOf(2u * pair, column4), weightsOf(2u * pair + 1u, column4));
}

// Four output channels of row `inner` of [tap, in].
fn weightsOf(inner: u32, column4: u32) -> vec4f {
  let channels = shape.in4 * 4u;
  var packed = vec4f();
  for (var part = 0u; part < 4u; part++) {
    let row = column4 * 4u + part;
    if (row < shape.rows) {
      packed[part] = stored((row * channels + inner % channels) * shape.taps + inner / channels);
    }
  }
  return packed;
}
