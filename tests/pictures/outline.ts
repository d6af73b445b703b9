/** The outline of a figure, its corners and its notches. */

export type Point = readonly [x: number, y: number];

/** The outline of a mask's one region, clockwise, one point for each boundary pixel (Moore's neighbour tracing). */
export function traceOutline(mask: Uint8Array, width: number): Point[] {
  const height = mask.length / width;
  const inside = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === 1;
  const around: Point[] = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];
  const first = mask.indexOf(1);
  const start: Point = [first % width, Math.floor(first / width)];
  const outline: Point[] = [start];
  // The first pixel in reading order has nothing above it and nothing to its left: the search begins there.
  let [x, y] = start;
  let from = 6;
  for (let guard = 0; guard < 4 * mask.length; guard++) {
    let turn = 0;
    while (turn < 8 && !inside(x + around[(from + turn) % 8][0], y + around[(from + turn) % 8][1])) turn++;
    if (turn === 8) return outline; // a single pixel
    const direction = (from + turn) % 8;
    [x, y] = [x + around[direction][0], y + around[direction][1]];
    if (x === start[0] && y === start[1]) return outline;
    outline.push([x, y]);
    from = (direction + 6) % 8; // two back: the last background pixel looked at, or the one before it
  }
  throw new Error("Cannot trace the outline: it does not close");
}

/** The convex hull's vertices as positions in `outline`, in the outline's order (Jarvis's march). */
export function convexHull(outline: readonly Point[]): number[] {
  let leftmost = 0;
  for (const [i, [x, y]] of outline.entries()) {
    if (x < outline[leftmost][0] || (x === outline[leftmost][0] && y < outline[leftmost][1])) leftmost = i;
  }
  const hull = [leftmost];
  for (;;) {
    const at = outline[hull[hull.length - 1]];
    let next = -1;
    for (let i = 0; i < outline.length; i++) {
      if (outline[i][0] === at[0] && outline[i][1] === at[1]) continue;
      if (next < 0) {
        next = i;
        continue;
      }
      const side = cross(at, outline[next], outline[i]);
      if (side < 0 || (side === 0 && distance(at, outline[i]) > distance(at, outline[next]))) next = i;
    }
    if (next === leftmost || next < 0) return hull;
    hull.push(next);
    if (hull.length > outline.length) return hull;
  }
}

/** Corners of a closed polygon after every detail smaller than `tolerance` is gone (Douglas and Peucker, 1973). */
export function simplify(polygon: readonly Point[], tolerance: number): Point[] {
  // The two ends of the longest diagonal are corners of every simplification.
  let [a, b] = [0, 0];
  for (let i = 0; i < polygon.length; i++) {
    for (let j = i + 1; j < polygon.length; j++) {
      if (distance(polygon[i], polygon[j]) > distance(polygon[a], polygon[b])) [a, b] = [i, j];
    }
  }
  const half = (from: number, to: number): Point[] => {
    let [worst, farthest] = [0, -1];
    for (let i = (from + 1) % polygon.length; i !== to; i = (i + 1) % polygon.length) {
      const off = offset(polygon[from], polygon[to], polygon[i]);
      if (off > worst) [worst, farthest] = [off, i];
    }
    return worst <= tolerance ? [polygon[from]] : [...half(from, farthest), ...half(farthest, to)];
  };
  return [...half(a, b), ...half(b, a)];
}

/** Distance of `point` from the line through `a` and `b`. */
export function offset(a: Point, b: Point, point: Point): number {
  return Math.abs(cross(a, b, point)) / Math.max(distance(a, b), 1e-9);
}

function cross(origin: Point, a: Point, b: Point): number {
  return (a[0] - origin[0]) * (b[1] - origin[1]) - (a[1] - origin[1]) * (b[0] - origin[0]);
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
