// One sampler row, in place: guide, turn the U-Net's output into the denoised prediction, then
// latents ← x · latents + Σ weight[slot] · history[slot] + unclipped · raw + noise · n. The history holds predictions, this
// row's among them, and latents that a row saves.
const WORKGROUP = 64u;
const SLOTS = 7u;
const GUIDED = 1u; // 1: prediction holds the unconditional half and then the conditional one
alias Scalar = f32;

struct Shape { size4: u32 }

@group(0) @binding(0) var<storage, read> prediction: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read> row: array<f32>; // as ops/latents.ts lays it out
@group(0) @binding(2) var<storage, read> noise: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> latents: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> history: array<vec4f>; // [SLOTS, size4]
@group(0) @binding(5) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  var output = vec4f(prediction[i]);
  if (GUIDED == 1u) {
    output += row[1] * (vec4f(prediction[i + shape.size4]) - output); // unconditional + scale · (conditional - unconditional)
  }
  let before = latents[i];
  let raw = row[2] * before + row[3] * output;
  var denoised = raw;
  if (row[4] > 0.0) {
    denoised = clamp(denoised, vec4f(-row[4]), vec4f(row[4]));
  }
  history[u32(row[5]) * shape.size4 + i] = denoised;
  if (row[9] >= 0.0) {
    history[u32(row[9]) * shape.size4 + i] = before;
  }
  var after = row[6] * before + row[7] * noise[i] + row[8] * raw;
  for (var slot = 0u; slot < SLOTS; slot++) {
    if (row[10u + slot] != 0.0) { // unwritten slots may hold anything
      after += row[10u + slot] * history[slot * shape.size4 + i];
    }
  }
  latents[i] = after;
}
