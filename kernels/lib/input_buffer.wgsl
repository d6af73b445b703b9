// The picture of a matmul from a storage buffer.
alias Input = f32;
@group(0) @binding(0) var<storage, read> x: array<vec4<Input>>; // [image, inHeight, inWidth, in4]

fn loadInput(pixel: u32, channel4: u32) -> vec4f {
  return select(vec4f(), vec4f(x[select(pixel, 0u, pixel == OUTSIDE) + channel4]), pixel != OUTSIDE);
}
