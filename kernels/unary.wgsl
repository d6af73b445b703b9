// y = f(x), element by element. Zero stays zero, so padding does too.
const WORKGROUP = 64u;
const FUNCTION = 0u; // 0 SiLU, 1 GELU (erf), 2 GELU (x · sigmoid(1.702 x), CLIP's "quick")
alias Scalar = f32;

struct Shape { size4: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Scalar>>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let v = vec4f(x[i]);
  var result: vec4f;
  switch (FUNCTION) {
    case 1u: { result = gelu(v); }
    case 2u: { result = v / (1.0 + exp(-1.702 * v)); }
    default: { result = v / (1.0 + exp(-v)); }
  }
  y[i] = vec4<Scalar>(result);
}
