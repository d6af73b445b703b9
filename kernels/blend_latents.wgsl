// In place: latents ← mask · latents + (1 - mask) · (signal · initial + noise · n), the picture's own latents as noisy as
// the others are.
const WORKGROUP = 64u;

struct Shape { size4: u32 }

@group(0) @binding(0) var<storage, read> initial: array<vec4f>;
@group(0) @binding(1) var<storage, read> noise: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;  // 1 where it is repainted, of the latents' shape
@group(0) @binding(3) var<storage, read> level: array<f32>;   // signal, noise
@group(0) @binding(4) var<storage, read_write> latents: array<vec4f>;
@group(0) @binding(5) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let known = level[0] * initial[i] + level[1] * noise[i];
  latents[i] = mask[i] * latents[i] + (vec4f(1.0) - mask[i]) * known;
}
