/** The figure of a picture: the one thing that stands on a plain background. */
import type { Picture } from "../../src/image/picture.ts";
import { difference, type Lab, lab } from "./colour.ts";

/** One figure on a plain background. */
export interface Figure {
  background: Lab;
  colour: Lab;
  width: number;
  height: number;
  /** 1 inside the figure and its holes, 0 outside: [height, width]. */
  mask: Uint8Array;
  /** Pixels of the mask. */
  area: number;
  /** Pixels of the mask that are holes. */
  holeArea: number;
}

/** The frame that is taken for background, in pixels. */
const frame = 8;
/** Lab distance from the background beyond which a pixel surely belongs to the figure. */
const distinct = 28;
/** Least share of the picture that is a figure. */
const leastShare = 0.01;

/**
 * Finds the figure: the background is the median of the frame, the figure the largest connected region nearer to the
 * median of what differs. `undefined` where nothing stands out.
 */
export function findFigure({ width, height, pixels }: Picture): Figure | undefined {
  const colours: Lab[] = [];
  for (let i = 0; i < pixels.length; i += 3) colours.push(lab([pixels[i], pixels[i + 1], pixels[i + 2]]));
  const inFrame = (i: number) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x < frame || y < frame || x >= width - frame || y >= height - frame;
  };
  const background = median(colours.filter((_, i) => inFrame(i)));
  const different = colours.filter((colour) => difference(colour, background) > distinct);
  if (different.length < leastShare * colours.length) return undefined;
  const colour = median(different);

  // A pixel between both colours (an anti-aliased edge, a soft shadow) goes to the nearer one.
  const near = Uint8Array.from(colours, (c) => Number(difference(c, colour) < difference(c, background)));
  const body = regions(near, width, 1).sort((a, b) => b.length - a.length)[0];
  const mask = new Uint8Array(near.length);
  for (const i of body) mask[i] = 1;
  let holeArea = 0;
  for (const region of regions(mask, width, 0)) {
    const enclosed = region.every((i) =>
      i % width > 0 && i % width < width - 1 && i >= width && i < mask.length - width
    );
    if (!enclosed) continue;
    holeArea += region.length;
    for (const i of region) mask[i] = 1;
  }
  return { background, colour, width, height, mask, area: body.length + holeArea, holeArea };
}

/** The median of each coordinate. */
function median(colours: Lab[]): Lab {
  const middle = (k: number) => colours.map((colour) => colour[k]).sort((a, b) => a - b)[colours.length >> 1];
  return [middle(0), middle(1), middle(2)];
}

/** The 4-connected regions of `value`, each a list of indices. */
function regions(mask: Uint8Array, width: number, value: number): number[][] {
  const seen = new Uint8Array(mask.length);
  const found: number[][] = [];
  for (let start = 0; start < mask.length; start++) {
    if (seen[start] || mask[start] !== value) continue;
    const region = [start];
    seen[start] = 1;
    for (const i of region) {
      const x = i % width;
      for (const j of [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
        if (j < 0 || j >= mask.length || seen[j] || mask[j] !== value) continue;
        seen[j] = 1;
        region.push(j);
      }
    }
    found.push(region);
  }
  return found;
}
