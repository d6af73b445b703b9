import { type Tensor, zeros } from "./tensor.ts";

/** `before` and `after`: rows of zeros above and below, columns of zeros left and right. */
export interface Convolution {
  stride?: number;
  before?: number;
  after?: number;
  /** Instead of zeros, the opposite edge. */
  wraps?: boolean;
}

/** `x` [image, y, x, in] with `weight` [out, in, tapY, tapX]. */
export function conv2d(x: Tensor, weight: Tensor, bias: Tensor, options: Convolution = {}): Tensor {
  const { stride = 1, before = 0, after = before, wraps = false } = options;
  const [images, height, width, inner] = x.shape, [outer, , tapsY, tapsX] = weight.shape;
  const outHeight = Math.floor((height + before + after - tapsY) / stride) + 1;
  const outWidth = Math.floor((width + before + after - tapsX) / stride) + 1;
  const y = zeros([images, outHeight, outWidth, outer]);
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (let outY = 0; outY < outHeight; outY++) {
      for (let outX = 0; outX < outWidth; outX++) {
        for (let out = 0; out < outer; out++) {
          let sum = bias.data[out];
          for (let tapY = 0; tapY < tapsY; tapY++) {
            for (let tapX = 0; tapX < tapsX; tapX++) {
              let inY = outY * stride + tapY - before, inX = outX * stride + tapX - before;
              if (wraps) [inY, inX] = [(inY + before * height) % height, (inX + before * width) % width];
              if (inY < 0 || inY >= height || inX < 0 || inX >= width) continue;
              const pixel = ((image * height + inY) * width + inX) * inner;
              for (let i = 0; i < inner; i++) {
                sum += x.data[pixel + i] * weight.data[((out * inner + i) * tapsY + tapY) * tapsX + tapX];
              }
            }
          }
          y.data[at++] = sum;
        }
      }
    }
  }
  return y;
}

/** The nearest neighbour's enlargement of `x` [image, y, x, channel], as torch's `interpolate(mode="nearest")`. */
export function enlarge(x: Tensor, [outHeight, outWidth]: readonly [number, number]): Tensor {
  const [images, height, width, channels] = x.shape, y = zeros([images, outHeight, outWidth, channels]);
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (let outY = 0; outY < outHeight; outY++) {
      for (let outX = 0; outX < outWidth; outX++) {
        const inY = Math.floor(outY * height / outHeight), inX = Math.floor(outX * width / outWidth);
        const pixel = ((image * height + inY) * width + inX) * channels;
        for (let channel = 0; channel < channels; channel++) y.data[at++] = x.data[pixel + channel];
      }
    }
  }
  return y;
}
