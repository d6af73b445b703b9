// Copies groups of `xSize` channels to groups of `ySize` channels, cutting or padding with zeros: attention heads whose size is
// no multiple of 4 are widened to whole vec4s, and narrowed again after.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size: u32, groups: u32, xSize: u32, ySize: u32, xStride: u32, yStride: u32 }

@group(0) @binding(0) var<storage, read> x: array<Scalar>;       // [row, xStride], groups · xSize of them meant
@group(0) @binding(1) var<storage, read_write> y: array<Scalar>; // [row, yStride], groups · ySize
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size) {
    return;
  }
  let row = i / shape.yStride;
  let group = i % shape.yStride / shape.ySize;
  let channel = i % shape.yStride % shape.ySize;
  if (group < shape.groups && channel < shape.xSize) {
    y[i] = x[row * shape.xStride + group * shape.xSize + channel];
  } else {
    y[i] = Scalar();
  }
}
