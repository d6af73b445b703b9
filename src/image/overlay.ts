/** What was kept of a picture, laid over what was made: pixels outside of the mask stay exactly as they were. */
import type { Mask, Picture } from "./picture.ts";
import { fit, type Region } from "./resize.ts";

/** The picture that was painted on. */
export interface Overlay {
  /** As large as what comes out. */
  picture: Picture;
  /** How much of what was made shows, of the same size. */
  mask: Mask;
  /** Where in it what was made belongs; everywhere where absent. */
  region?: Region;
}

/** `made` in its place within the overlay's picture: made · level + picture · (255 − level), divided by 255. */
export function paste(made: Picture, { picture, mask, region }: Overlay): Picture {
  const { width, height } = picture, at = region ?? { x: 0, y: 0, width, height };
  const placed = made.width === at.width && made.height === at.height ? made : fit(made, at, "crop");
  const pixels = picture.pixels.slice();
  for (let y = 0; y < at.height; y++) {
    for (let x = 0; x < at.width; x++) {
      const i = (at.y + y) * width + at.x + x, level = mask.levels[i], from = 3 * (y * at.width + x);
      if (level === 0) continue;
      for (let channel = 0; channel < 3; channel++) {
        const mixed = placed.pixels[from + channel] * level + pixels[3 * i + channel] * (255 - level);
        pixels[3 * i + channel] = Math.round(mixed / 255);
      }
    }
  }
  return { width, height, pixels };
}
