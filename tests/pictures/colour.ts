/** Colours as people tell them apart: CIE Lab, and the twelve names that the embedded model was taught. */

/** L*, a*, b*. */
export type Lab = readonly [number, number, number];

/** The colours of `weights/train/data.py`, sRGB. */
export const palette = {
  red: [222, 44, 48],
  orange: [246, 138, 28],
  yellow: [250, 215, 52],
  green: [52, 168, 78],
  blue: [42, 92, 214],
  purple: [134, 66, 190],
  pink: [246, 142, 188],
  cyan: [62, 202, 214],
  white: [246, 246, 244],
  black: [28, 28, 33],
  gray: [142, 146, 152],
  brown: [122, 78, 46],
} as const;

export type Colour = keyof typeof palette;
export const colours = Object.keys(palette) as Colour[];

/** 8-bit sRGB under D65 to CIE Lab. */
export function lab(rgb: readonly [red: number, green: number, blue: number]): Lab {
  const [r, g, b] = rgb.map((value) => {
    const share = value / 255;
    return share > 0.04045 ? ((share + 0.055) / 1.055) ** 2.4 : share / 12.92;
  });
  const curve = (t: number) => t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116;
  const x = curve((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = curve(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = curve((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** Euclidean distance; 2.3 is just noticeable. */
export function difference(a: Lab, b: Lab): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

const references = colours.map((name) => ({ name, lab: lab(palette[name]) }));

/** The palette's name for a colour. */
export function nameColour(colour: Lab): Colour {
  let nearest = references[0];
  for (const reference of references) {
    if (difference(colour, reference.lab) < difference(colour, nearest.lab)) nearest = reference;
  }
  return nearest.name;
}
