// Packs stored rows [row, width] with each row padded to whole vec4s; `row0` is the first row that the source holds.
// Needs lib/stored.wgsl and a lib/packed_*.wgsl.
const WORKGROUP = 64u;

struct Shape { row0: u32, width: u32, width4: u32, size4: u32 }

@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  var packed = vec4f();
  for (var part = 0u; part < 4u; part++) {
    let column = i % shape.width4 * 4u + part;
    if (column < shape.width) {
      packed[part] = stored(i / shape.width4 * shape.width + column);
    }
  }
  storePacked(shape.row0 * shape.width4 + i, packed);
}
