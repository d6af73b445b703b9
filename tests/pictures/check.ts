/**
 * Says what a picture of one plain figure shows: the figure's colour, the background's colour and the figure's shape.
 *
 * The shape follows from the fill ratio of the bounding box and from the corners of the outline's convex hull, with
 * the deep notches in the outline, the hole, the height of the centroid and the box's proportions where these two leave
 * a doubt. Figures are
 * expected upright, as the embedded model draws them.
 */
import type { Picture } from "../../src/image/picture.ts";
import { type Colour, nameColour } from "./colour.ts";
import { type Figure, findFigure } from "./figure.ts";
import { convexHull, offset, simplify, traceOutline } from "./outline.ts";

export const shapes = [
  "circle",
  "square",
  "triangle",
  "star",
  "heart",
  "diamond",
  "hexagon",
  "ring",
  "cross",
  "crescent",
] as const;
export type ShapeName = typeof shapes[number];

/** One figure on a plain background. */
export interface Scene {
  colour: Colour;
  shape: ShapeName;
  background: Colour;
}

/** What was measured of a figure's outline, lengths as shares of the bounding box's mean side. */
export interface Outline {
  /** Area of the figure, holes filled, as a share of its bounding box. */
  fill: number;
  /** Width of the bounding box over its height. */
  aspect: number;
  /** Corners of the convex hull once details under a tenth are gone. */
  corners: number;
  /** Depth of each notch that is deeper than 0.09, deepest first. */
  notches: number[];
  /** Share of the figure that is a hole. */
  hole: number;
  /** Height of the centroid above the middle of the bounding box: below 0 for what stands on a broad foot. */
  balance: number;
}

/** What a picture shows. */
export interface Sight {
  colour: Colour;
  background: Colour;
  shape: ShapeName | "other";
  outline: Outline;
}

/** "a red circle on a blue background" */
export function promptOf({ colour, shape, background }: Scene): string {
  const article = (word: string) => /^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`;
  return `${article(colour)} ${shape} on ${article(background)} background`;
}

/** What the picture shows; `undefined` where nothing stands out from the background. */
export function look(picture: Picture): Sight | undefined {
  const figure = findFigure(picture);
  if (figure === undefined) return undefined;
  const outline = measure(figure);
  const [colour, background] = [nameColour(figure.colour), nameColour(figure.background)];
  return { colour, background, shape: nameShape(outline), outline };
}

/** Why the picture does not show the scene, one sentence for each difference; empty where it does. */
export function differences(picture: Picture, scene: Scene): string[] {
  const sight = look(picture);
  if (sight === undefined) return ["Nothing stands out from the background"];
  const found: string[] = [];
  for (const part of ["colour", "shape", "background"] as const) {
    if (sight[part] !== scene[part]) found.push(`The ${part} is ${sight[part]}, not ${scene[part]}`);
  }
  return found;
}

function measure({ mask, width, area, holeArea }: Figure): Outline {
  const outline = traceOutline(mask, width);
  const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const box = (right - left + 1) * (bottom - top + 1);
  const side = Math.sqrt(box);

  const hull = convexHull(outline);
  const notches: number[] = [];
  for (const [k, from] of hull.entries()) {
    const to = hull[(k + 1) % hull.length];
    let depth = 0;
    for (let i = from; i !== to; i = (i + 1) % outline.length) {
      depth = Math.max(depth, offset(outline[from], outline[to], outline[i]) / side);
    }
    if (depth > 0.09) notches.push(depth);
  }

  let rows = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i]) rows += Math.floor(i / width);
  const corners = hull.map((i) => outline[i]);
  return {
    fill: area / box,
    aspect: (right - left + 1) / (bottom - top + 1),
    corners: simplify(corners, 0.1 * side).length,
    notches: notches.sort((a, b) => b - a),
    hole: holeArea / area,
    balance: ((top + bottom) / 2 - rows / area) / (bottom - top + 1),
  };
}

function nameShape({ fill, aspect, corners, notches, hole, balance }: Outline): ShapeName | "other" {
  if (hole > 0.08) return "ring";
  if (notches.length >= 3) return corners >= 7 ? "cross" : "star";
  if (notches.length > 0 && notches[0] > 0.25) return "crescent";
  if (fill > 0.83) return corners <= 5 ? "square" : "other";
  if (fill < 0.63) return corners > 5 || fill < 0.4 ? "other" : balance < -0.08 ? "triangle" : "diamond";
  if (balance > 0.03) return "heart";
  // An upright hexagon is wider than high, 2 to √3; the embedded model's circles have flats, its hexagons round corners.
  const round = corners >= 7 && fill > 0.753 && Math.abs(aspect - 1) < 0.08;
  return round ? "circle" : "hexagon";
}
