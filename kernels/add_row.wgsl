// y = x + row[image]: one row of channels added to every pixel of its image.
const WORKGROUP = 64u;
alias Scalar = f32;
alias Row = f32;

struct Shape { size4: u32, rowsPerImage: u32, channels4: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;       // [image, pixel, channel4]
@group(0) @binding(1) var<storage, read> row: array<vec4<Row>>;     // [image, channel4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Scalar>>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i < shape.size4) {
    let image = i / (shape.rowsPerImage * shape.channels4);
    y[i] = vec4<Scalar>(vec4f(x[i]) + vec4f(row[image * shape.channels4 + i % shape.channels4]));
  }
}
