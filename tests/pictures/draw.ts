/** Draws what a prompt asks for, plainly: the pictures on which the checker is proven. */
import type { Picture } from "../../src/image/picture.ts";
import { palette } from "./colour.ts";
import type { Point } from "./outline.ts";
import type { Scene, ShapeName } from "./check.ts";

/** Whether a point is inside a shape that spans [-1, 1]; y points up. The proportions are those of the training set. */
const inside: Record<ShapeName, (x: number, y: number) => boolean> = {
  circle: (x, y) => Math.hypot(x, y) < 1,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.84,
  triangle: polygon([[0, 0.98], [-1, -0.76], [1, -0.76]]),
  star: polygon(regular(10, (i) => i % 2 === 0 ? 1.08 : 0.46, 90)),
  heart: (x, y) => {
    const [u, v] = [Math.abs(x) / 1.55, (y + 0.92) / 1.7];
    return u + v > 1 ? Math.hypot(u - 0.25, v - 0.75) < Math.SQRT2 / 4 : u < v;
  },
  diamond: polygon([[0, 1.05], [-0.72, 0], [0, -1.05], [0.72, 0]]),
  hexagon: polygon(regular(6, () => 1, 0)),
  ring: (x, y) => Math.abs(Math.hypot(x, y) - 0.7) < 0.27,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.3 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  crescent: (x, y) => Math.hypot(x, y) < 1 && Math.hypot(x - 0.48, y - 0.12) > 0.88,
};

/** Where a shape stands: centre and radius in units of half the picture's shorter side, from the centre; y points up. */
export interface Placement {
  x: number;
  y: number;
  radius: number;
}

/** A `size` × `size` picture of a scene, edges smoothed over 3 × 3 samples, plus `noise()` levels on every sample. */
export function draw(
  { shape, colour, background }: Scene,
  { x, y, radius }: Placement,
  { size = 128, noise = () => 0 }: { size?: number; noise?: () => number } = {},
): Picture {
  const pixels = new Uint8ClampedArray(size * size * 3);
  const samples = 3;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let covered = 0;
      for (let k = 0; k < samples * samples; k++) {
        const u = (column + (k % samples + 0.5) / samples) / size * 2 - 1;
        const v = 1 - (row + (Math.floor(k / samples) + 0.5) / samples) / size * 2;
        const [dx, dy] = [(u - x) / radius, (v - y) / radius];
        // No shape reaches farther than 1.19, the square's corner.
        if (dx * dx + dy * dy < 1.5 && inside[shape](dx, dy)) covered += 1 / (samples * samples);
      }
      for (let channel = 0; channel < 3; channel++) {
        const from = palette[background][channel];
        const level = from + (palette[colour][channel] - from) * covered;
        pixels[(row * size + column) * 3 + channel] = Math.round(level + noise());
      }
    }
  }
  return { width: size, height: size, pixels: new Uint8Array(pixels.buffer) };
}

function regular(corners: number, radius: (i: number) => number, startDegrees: number): Point[] {
  return Array.from({ length: corners }, (_, i) => {
    const angle = (startDegrees + 360 * i / corners) * Math.PI / 180;
    return [radius(i) * Math.cos(angle), radius(i) * Math.sin(angle)] as const;
  });
}

/** Even-odd rule. */
function polygon(corners: Point[]): (x: number, y: number) => boolean {
  return (x, y) => {
    let odd = false;
    for (const [i, [ax, ay]] of corners.entries()) {
      const [bx, by] = corners[(i + 1) % corners.length];
      if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
}
