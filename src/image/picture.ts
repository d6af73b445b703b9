/** A decoded picture, and why one can be refused. */

/** RGB, 8 bits a sample, row by row: `pixels` is [height, width, 3]. */
export interface Picture {
  width: number;
  height: number;
  pixels: Uint8Array<ArrayBuffer>;
}

/** How much each pixel is repainted, 0 (kept) to 255, row by row: `levels` is [height, width]. */
export interface Mask {
  width: number;
  height: number;
  levels: Uint8Array<ArrayBuffer>;
}

/** A picture with what its file says of transparency. */
export interface PictureWithAlpha extends Picture {
  /** 0 (transparent) to 255, [height, width]; absent where the file has no alpha channel. */
  alpha?: Uint8Array<ArrayBuffer>;
}

/**
 * Why a file gives no picture: not a format read here, larger than the limits, damaged, too slow to decode, or nothing
 * that goes with the other picture of its request.
 */
export type Refusal = "unsupported" | "too_big" | "damaged" | "too_slow" | "unfit";

/** Which of a request's pictures. */
export type PictureField = "init_image" | "mask";

/** A file that gives no picture. The message is one sentence for whoever sent it. */
export class PictureError extends Error {
  override name = "PictureError";
  constructor(readonly refusal: Refusal, message: string, readonly field: PictureField = "init_image") {
    super(message);
  }
}

/** Longest side and largest area that are decoded, in pixels. */
export const limits = { side: 4096, pixels: 4096 * 4096 };

/**
 * Refuses sizes beyond the limits; called on the header, before anything is decoded or allocated.
 *
 * @throws PictureError
 */
export function checkSize(format: string, width: number, height: number): void {
  if (width < 1 || height < 1) {
    throw new PictureError(
      "damaged",
      `Cannot read the ${format}: its header says ${width}×${height} pixels, 1×1 or more would do`,
    );
  }
  if (width > limits.side || height > limits.side || width * height > limits.pixels) {
    const message = `Cannot read the ${format}: it has ${width}×${height} pixels, up to ${limits.side} a side would do`;
    throw new PictureError("too_big", message);
  }
}
