// Packs rows of a stored weight [out, in, tap] as [tap, in, out]: one texel of 4 output channels an invocation, zeros
// where in or out is padded. The source is f32, f16 or bf16 in whole u32 words and holds `rows` output rows from `row0` on.
// Needs lib/stored.wgsl, lib/packed_column.wgsl, and lib/packed_buffer.wgsl or lib/packed_texture.wgsl.
const WORKGROUP = 64u;

struct Shape { row0: u32, rows: u32, in: u32, in4: u32, taps: u32, out4: u32, size4: u32 }

@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let columns4 = (shape.rows + 3u) / 4u;
  let column4 = i % columns4;
  let inner = i / columns4 % (shape.in4 * 4u);
  let tap = i / columns4 / (shape.in4 * 4u);
  var packed = vec4f();
  for (var part = 0u; part < 4u; part++) {
    let row = column4 * 4u + part;
    if (row < shape.rows && inner < shape.in) {
      packed[part] = stored((row * shape.in + inner) * shape.taps + tap);
    }
  }
  storePacked((tap * shape.in4 * 4u + inner) * shape.out4 + packedColumn(shape.row0 / 4u + column4), packed);
}
