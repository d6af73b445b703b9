// What guidance needs to know of a whole image before it changes any element, one workgroup an image:
// y = [deviation of the conditional prediction / deviation of the guided one, the percentile of |clean|
// where there is a threshold].
// clean = options.cleanSkip · latents + options.cleanOut · guided, with guided rescaled as guide.wgsl does. The percentile
// is torch.quantile's: found by bisection over the bits of non-negative floats, which sort as the floats do.
// Needs lib/sum_workgroup.wgsl.
const WORKGROUP = 256u;
const GUIDED = 1u; // 1: prediction holds the unconditional half and then the conditional one
alias Scalar = f32;

struct Shape { images: u32, size: u32, channels: u32, stride: u32 } // size: of an image, padding included

@group(0) @binding(0) var<storage, read> prediction: array<Scalar>;
@group(0) @binding(1) var<storage, read> latents: array<f32>;
@group(0) @binding(2) var<storage, read> row: array<f32>;     // as ops/latents.ts lays it out
@group(0) @binding(3) var<storage, read> options: array<f32>; // as ops/guide.ts lays it out
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [image, 4]
@group(0) @binding(5) var<uniform> shape: Shape;

var<workgroup> least: atomic<u32>;

fn conditional(i: u32) -> f32 {
  return f32(prediction[i + GUIDED * shape.images * shape.size]);
}

fn guided(i: u32) -> f32 {
  let first = f32(prediction[i]);
  return select(first, first + row[1] * (conditional(i) - first), GUIDED == 1u);
}

fn cleanBits(i: u32, scale: f32) -> u32 {
  return bitcast<u32>(abs(options[0] * latents[i] + options[1] * scale * guided(i)));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = id.x * shape.size;
  let end = begin + shape.size;
  let count = f32(shape.size / shape.stride * shape.channels);
  if (lane == 0u) {
    atomicStore(&least, 0x7f800000u);
  }
  var sums = vec2f();
  for (var i = begin + lane; i < end; i += WORKGROUP) {
    sums += vec2f(conditional(i), guided(i)); // padding is 0
  }
  let means = vec2f(workgroupSum(sums.x, lane), workgroupSum(sums.y, lane)) / count;
  var squares = vec2f();
  for (var i = begin + lane; i < end; i += WORKGROUP) {
    if (i % shape.stride < shape.channels) {
      let difference = vec2f(conditional(i), guided(i)) - means;
      squares += difference * difference;
    }
  }
  let variances = vec2f(workgroupSum(squares.x, lane), workgroupSum(squares.y, lane));
  let ratio = select(1.0, sqrt(variances.x / variances.y), variances.y > 0.0);

  let scale = 1.0 + options[2] * (ratio - 1.0);
  let place = options[4] * (count - 1.0);
  var found = 0u; // the largest number of which no more than `place` elements lie below
  var upTo = 0.0; // how many are no larger
  if (options[3] > 0.0) {
    for (var bit = 31u; bit > 0u; bit--) {
      let candidate = found | (1u << (bit - 1u));
      var below = 0.0;
      for (var i = begin + lane; i < end; i += WORKGROUP) {
        below += select(0.0, 1.0, i % shape.stride < shape.channels && cleanBits(i, scale) < candidate);
      }
      found = select(found, candidate, workgroupSum(below, lane) <= floor(place));
    }
    for (var i = begin + lane; i < end; i += WORKGROUP) {
      if (i % shape.stride < shape.channels) {
        let bits = cleanBits(i, scale);
        if (bits <= found) {
          upTo += 1.0;
        } else {
          atomicMin(&least, bits);
        }
      }
    }
  }
  let total = workgroupSum(upTo, lane); // and a barrier, after which `least` is complete
  if (lane == 0u) {
    let lower = bitcast<f32>(found);
    let next = select(lower, bitcast<f32>(atomicLoad(&least)), total < floor(place) + 1.5 && total < count);
    y[id.x * 4u] = ratio;
    y[id.x * 4u + 1u] = lower + (next - lower) * fract(place);
    y[id.x * 4u + 2u] = 0.0;
    y[id.x * 4u + 3u] = 0.0;
  }
}
