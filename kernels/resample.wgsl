// A channels-last picture in another size: y[v, u] = Σ Σ rows[v, j] · columns[u, i] · x[rowStart[v] + j, columnStart[u] + i].
// Which window that is, the tables say. One invocation per vec4 of y.
const WORKGROUP = 64u;

struct Shape {
  size4: u32, height: u32, width: u32, channels4: u32, fromHeight: u32, fromWidth: u32,
  rowTaps: u32, columnTaps: u32, rowStride: u32, columnStride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [image, fromHeight, fromWidth, channels4]
@group(0) @binding(1) var<storage, read> rows: array<f32>;      // [height, rowStride]: the first row, then weights
@group(0) @binding(2) var<storage, read> columns: array<f32>;   // [width, columnStride]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [image, height, width, channels4]
@group(0) @binding(4) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (at >= shape.size4) {
    return;
  }
  let channel4 = at % shape.channels4;
  let pixel = at / shape.channels4;
  let row = pixel / shape.width % shape.height * shape.rowStride;
  let column = pixel % shape.width * shape.columnStride;
  let image = pixel / shape.width / shape.height;
  var sum = vec4f();
  for (var j = 0u; j < shape.rowTaps; j++) {
    let fromRow = (image * shape.fromHeight + u32(rows[row]) + j) * shape.fromWidth;
    var line = vec4f();
    for (var i = 0u; i < shape.columnTaps; i++) {
      line += columns[column + 1u + i] * x[(fromRow + u32(columns[column]) + i) * shape.channels4 + channel4];
    }
    sum += rows[row + 1u + j] * line;
  }
  y[at] = sum;
}
