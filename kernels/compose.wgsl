// One more output of the U-Net into the two halves that guidance works on, in place:
// half ← keep · half + add · output for each of them. A keep of 0 forgets what was there. One invocation per vec4 of output.
const WORKGROUP = 64u;
alias Scalar = f32;

struct Shape { size4: u32 }

@group(0) @binding(0) var<storage, read> output: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read> shares: array<f32>;             // [keep, add] of the first half, then of the second
@group(0) @binding(2) var<storage, read_write> prediction: array<vec4f>; // [2, size4]
@group(0) @binding(3) var<uniform> shape: Shape;

// What was there may be no number at all where nothing was.
fn kept(i: u32, keep: f32) -> vec4f {
  return select(vec4f(), keep * prediction[i], keep != 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let added = vec4f(output[i]);
  let second = i + shape.size4;
  prediction[i] = kept(i, shares[0]) + shares[1] * added;
  prediction[second] = kept(second, shares[2]) + shares[3] * added;
}
