// y = a + b, element by element.
const WORKGROUP = 64u;
alias A = f32;
alias B = f32;
alias Output = f32;

struct Shape { size4: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<A>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<B>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Output>>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i < shape.size4) {
    y[i] = vec4<Output>(vec4f(a[i]) + vec4f(b[i]));
  }
}
