// First of three kernels of group_norm: sums of x - origin and of its square, per channel and chunk of pixels, where origin
// is the channel's value at the image's first pixel: without it squares of a large mean would cancel in f32.
// One invocation per (image, chunk, vec4 of channels).
const WORKGROUP = 64u;
alias Input = f32;

struct Shape { images: u32, pixels: u32, channels4: u32, chunks: u32, chunkPixels: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Input>>;  // [image, pixel, channel4]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;   // [image, chunk, 2, channel4]: sums, squares
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (id.x + id.y * 65535u) * WORKGROUP + lane;
  let channel4 = at % shape.channels4;
  let chunk = at / shape.channels4 % shape.chunks;
  let image = at / shape.channels4 / shape.chunks;
  if (image >= shape.images) {
    return;
  }
  let first = image * shape.pixels * shape.channels4 + channel4;
  let origin = vec4f(x[first]);
  var sum = vec4f();
  var squares = vec4f();
  let end = min((chunk + 1u) * shape.chunkPixels, shape.pixels);
  for (var pixel = chunk * shape.chunkPixels; pixel < end; pixel++) {
    let v = vec4f(x[first + pixel * shape.channels4]) - origin;
    sum += v;
    squares += v * v;
  }
  let out = (image * shape.chunks + chunk) * 2u * shape.channels4 + channel4;
  y[out] = sum;
  y[out + shape.channels4] = squares;
}
