// What a device can do at most. PART 0: y = 512 rounds of a = a · m + c in six independent vec4s, which is arithmetic
// alone: a driver for a processor keeps each of their numbers in a register, of which there are 32, and blends it once a
// loop. PART 1: y = x, which is memory alone.
const WORKGROUP = 64u;
const PART = 0;
alias Scalar = f32;

struct Shape { size4: u32, m: f32, c: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Scalar>>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) { return; }
  var a0 = x[i];
  if (PART == 0) {
    let m = vec4<Scalar>(Scalar(shape.m));
    let c = vec4<Scalar>(Scalar(shape.c));
    var a1 = a0 + c;
    var a2 = a1 + c;
    var a3 = a2 + c;
    var a4 = a3 + c;
    var a5 = a4 + c;
    for (var round = 0u; round < 64u; round++) {
      // unroll
      for (var part = 0u; part < 8u; part++) {
        a0 = a0 * m + c;
        a1 = a1 * m + c;
        a2 = a2 * m + c;
        a3 = a3 * m + c;
        a4 = a4 * m + c;
        a5 = a5 * m + c;
      }
    }
    a0 = a0 + a1 + a2 + a3 + a4 + a5;
  }
  y[i] = a0;
}
