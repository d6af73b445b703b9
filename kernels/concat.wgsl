// y = a and b side by side along the channels. Element is a vec4 where both have whole vec4s of channels.
const WORKGROUP = 64u;
alias Element = f32;

struct Shape { size: u32, a: u32, aStride: u32, b: u32, bStride: u32, yStride: u32 } // in Elements

@group(0) @binding(0) var<storage, read> a: array<Element>;       // [row, aStride], the first `a` of them meant
@group(0) @binding(1) var<storage, read> b: array<Element>;       // [row, bStride]
@group(0) @binding(2) var<storage, read_write> y: array<Element>; // [row, yStride]
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size) {
    return;
  }
  let row = i / shape.yStride;
  let channel = i % shape.yStride;
  if (channel < shape.a) {
    y[i] = a[row * shape.aStride + channel];
  } else if (channel < shape.a + shape.b) {
    y[i] = b[row * shape.bStride + channel - shape.a];
  } else {
    y[i] = Element();
  }
}
