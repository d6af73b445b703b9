// The rows of a picture in bands that a 3×3 convolution of one band reads, with the zeros around the picture written out:
// of the picture itself or its nearest-neighbour enlargement, as it is or as group_norm leaves it, x · scale + shift, then
// SiLU. Of a picture that tiles the edges are the opposite ones' instead of zeros. One invocation per vec4.
const WORKGROUP = 64u;
const NORM = 0u; // 1: group_norm and SiLU
const WRAP = 0u; // 1: the picture tiles, and the bands above the first and below the last are the last and the first
alias Input = f32;
alias Output = f32;

struct Shape {
  size4: u32,     // of the window
  width: u32,     // of the window
  channels4: u32,
  first: i32,     // row of the enlarged picture at which the window begins, counted from the top of band x
  left: i32,      // columns of zeros before the picture
  factor: i32,    // of enlargement
  inWidth: i32,   // of a band
  rows: i32,      // of band x
  aboveRows: i32, // of the band above, 0 at the top of the picture
  belowRows: i32, // of the band below, 0 at its end
}

@group(0) @binding(0) var<storage, read> above: array<vec4<Input>>; // [row, column, channel4]
@group(0) @binding(1) var<storage, read> x: array<vec4<Input>>;
@group(0) @binding(2) var<storage, read> below: array<vec4<Input>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;        // [2, channel4]: scale, shift
@group(0) @binding(4) var<storage, read_write> y: array<vec4<Output>>;
@group(0) @binding(5) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let channel4 = i % shape.channels4;
  var fullX = i32(i / shape.channels4 % shape.width) - shape.left;
  if (WRAP == 1u) {
    let fullWidth = shape.factor * shape.inWidth;
    fullX = (fullX + fullWidth) % fullWidth;
  }
  let fullY = i32(i / shape.channels4 / shape.width) + shape.first;
  // Whole numbers are divided towards zero, and rows above the band are negative.
  let row = (fullY + shape.factor) / shape.factor - 1;
  let column = fullX / shape.factor;
  let isAbove = row < 0;
  let isBelow = row >= shape.rows;
  let inside = fullX >= 0 && column < shape.inWidth
    && (!isAbove || row + shape.aboveRows >= 0) && (!isBelow || row - shape.rows < shape.belowRows);
  if (!inside) {
    y[i] = vec4<Output>();
    return;
  }
  let stored = select(select(row, row - shape.rows, isBelow), row + shape.aboveRows, isAbove);
  let at = u32(stored * shape.inWidth + column) * shape.channels4 + channel4;
  var v = vec4f();
  if (isAbove) {
    v = vec4f(above[at]);
  } else if (isBelow) {
    v = vec4f(below[at]);
  } else {
    v = vec4f(x[at]);
  }
  if (NORM == 1u) {
    v = v * scale[channel4] + scale[channel4 + shape.channels4];
    v = v / (1.0 + exp(-v));
  }
  y[i] = vec4<Output>(v);
}
