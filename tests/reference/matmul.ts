/** Linear layers and convolutions. */
import { elements } from "../../src/tensor/shape.ts";
import { type Tensor, zeros } from "./tensor.ts";

/** x [..., in] · weightᵀ [out, in] + bias [out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [out, inner] = weight.shape;
  const y = zeros([...x.shape.slice(0, -1), out]);
  for (let row = 0; row < elements(x.shape) / inner; row++) {
    for (let o = 0; o < out; o++) {
      let sum = bias?.data[o] ?? 0;
      for (let i = 0; i < inner; i++) sum += x.data[row * inner + i] * weight.data[o * inner + i];
      y.data[row * out + o] = sum;
    }
  }
  return y;
}

/** Of conv2d: `paddingAfter` is below and right, as many as above and left where absent. */
export interface Convolution {
  stride?: number;
  padding?: number;
  paddingAfter?: number;
  enlargeTo?: readonly [height: number, width: number];
}

/** x [images, height, width, in] with weight [out, in, kernelHeight, kernelWidth], first enlarged by nearest neighbours. */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  { stride = 1, padding = 0, paddingAfter = padding, enlargeTo }: Convolution = {},
): Tensor {
  if (enlargeTo) x = enlarge(x, enlargeTo);
  const [images, height, width, inner] = x.shape, [out, , kernelHeight, kernelWidth] = weight.shape;
  const outHeight = Math.floor((height + padding + paddingAfter - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((width + padding + paddingAfter - kernelWidth) / stride) + 1;
  const y = zeros([images, outHeight, outWidth, out]);
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        for (let o = 0; o < out; o++) {
          let sum = bias?.data[o] ?? 0;
          for (let ky = 0; ky < kernelHeight; ky++) {
            for (let kx = 0; kx < kernelWidth; kx++) {
              const inY = row * stride + ky - padding, inX = column * stride + kx - padding;
              if (inY < 0 || inY >= height || inX < 0 || inX >= width) continue;
              const from = ((image * height + inY) * width + inX) * inner;
              for (let i = 0; i < inner; i++) {
                sum += x.data[from + i] * weight.data[((o * inner + i) * kernelHeight + ky) * kernelWidth + kx];
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

/** Row y of the larger picture is row ⌊y · height / newHeight⌋ of the smaller one, columns alike. */
function enlarge(x: Tensor, [newHeight, newWidth]: readonly [number, number]): Tensor {
  const [images, height, width, channels] = x.shape;
  const y = zeros([images, newHeight, newWidth, channels]);
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < newHeight; row++) {
      for (let column = 0; column < newWidth; column++) {
        const inY = Math.floor(row * height / newHeight), inX = Math.floor(column * width / newWidth);
        for (let c = 0; c < channels; c++) {
          y.data[at++] = x.data[((image * height + inY) * width + inX) * channels + c];
        }
      }
    }
  }
  return y;
}
