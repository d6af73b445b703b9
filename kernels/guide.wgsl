// The model's output as a sampler row is to have it, where guidance is more than a weighted difference: rescaled towards
// the conditional half's deviation, its prediction of the clean latents held below a threshold, and blended with the
// picture's own latents outside of the mask. One invocation per vec4 of y.
const WORKGROUP = 64u;
const GUIDED = 1u; // 1: prediction holds the unconditional half and then the conditional one
const MASKED = 1u; // 1: reads initial and mask
alias Scalar = f32;

struct Shape { size4: u32, image4: u32 } // all images, one image

@group(0) @binding(0) var<storage, read> prediction: array<vec4<Scalar>>;
@group(0) @binding(1) var<storage, read> latents: array<vec4f>;
@group(0) @binding(2) var<storage, read> initial: array<vec4f>;    // the picture's latents
@group(0) @binding(3) var<storage, read> mask: array<vec4f>;       // 1 where it is repainted, of the latents' shape
@group(0) @binding(4) var<storage, read> statistics: array<vec4f>; // [image], by guide_statistics.wgsl
@group(0) @binding(5) var<storage, read> row: array<f32>;          // as ops/latents.ts lays it out
@group(0) @binding(6) var<storage, read> options: array<f32>;      // as ops/guide.ts lays it out
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(8) var<uniform> shape: Shape;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (id.x + id.y * 65535u) * WORKGROUP + lane;
  if (i >= shape.size4) {
    return;
  }
  let ofImage = statistics[i / shape.image4];
  var output = vec4f(prediction[i]);
  if (GUIDED == 1u) {
    output += row[1] * (vec4f(prediction[i + shape.size4]) - output);
  }
  output *= 1.0 + options[2] * (ofImage.x - 1.0);
  let known = options[0] * latents[i];
  var clean = known + options[1] * output;
  let largest = options[3];
  if (largest > 0.0) {
    let reach = max(ofImage.y, largest);
    clean = clamp(clean, vec4f(-reach), vec4f(reach)) * (largest / reach);
  }
  if (MASKED == 1u) {
    clean = initial[i] + mask[i] * (clean - initial[i]);
  }
  if (largest > 0.0 || MASKED == 1u) {
    output = (clean - known) / options[1];
  }
  y[i] = output;
}
