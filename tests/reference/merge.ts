import { type Tensor, zeros } from "./tensor.ts";

/** Which tokens become one: the destinations' tokens; each source's token, match and row; how many sources stay. */
export interface Matching {
  destinations: number[];
  sources: { token: number; cosine: number; destination: number; place: number }[];
  kept: number;
}

/** tomesd's bipartite_soft_matching_random2d with no_rand, on one image's `tokens` vectors of `x`. */
export function match(x: Tensor, image: number, height: number, width: number, ratio: number): Matching {
  const tokens = height * width, channels = x.shape[2], destinations: number[] = [], others: number[] = [];
  for (let token = 0; token < tokens; token++) {
    const row = Math.floor(token / width), column = token % width;
    const whole = row < height - height % 2 && column < width - width % 2;
    (whole && row % 2 === 0 && column % 2 === 0 ? destinations : others).push(token);
  }
  const units = Array.from({ length: tokens }, (_, token) => {
    const at = (image * tokens + token) * channels, vector = x.data.subarray(at, at + channels);
    const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
    return vector.map((value) => value / (length || 1));
  });
  const matches = others.map((token, source) => {
    let cosine = -Infinity, destination = 0;
    for (const [i, to] of destinations.entries()) {
      const score = units[token].reduce((sum, value, c) => sum + value * units[to][c], 0);
      if (score > cosine) [cosine, destination] = [score, i];
    }
    return { token, source, cosine, destination, place: 0 };
  });
  // Descending, and of equal ones the earlier first: the first `merged` go, the others stay in this order.
  const sorted = matches.toSorted((a, b) => b.cosine - a.cosine || a.source - b.source);
  const merged = Math.min(others.length, Math.floor(tokens * ratio)), kept = others.length - merged;
  for (const [rank, one] of sorted.entries()) one.place = rank < merged ? kept + one.destination : rank - merged;
  return { destinations, sources: matches, kept };
}

/** Rows of the merged tokens: the sources that stay, then the means of destinations and what is merged into them. */
export function merge(x: Tensor, matchings: readonly Matching[]): Tensor {
  const [images, tokens, channels] = x.shape, [{ kept, destinations }] = matchings;
  const rows = kept + destinations.length,
    y = zeros([images, rows, channels]),
    counts = new Float64Array(images * rows);
  for (const [image, matching] of matchings.entries()) {
    for (const [token, row] of rowsOfTokens(matching)) {
      counts[image * rows + row]++;
      for (let c = 0; c < channels; c++) {
        y.data[(image * rows + row) * channels + c] += x.data[(image * tokens + token) * channels + c];
      }
    }
  }
  return { shape: y.shape, data: y.data.map((sum, i) => sum / counts[Math.floor(i / channels)]) };
}

/** Every token of a picture from the rows of `x`: its own, or its destination's. */
export function unmerge(x: Tensor, matchings: readonly Matching[], tokens: number): Tensor {
  const [images, rows, channels] = x.shape, y = zeros([images, tokens, channels]);
  for (const [image, matching] of matchings.entries()) {
    for (const [token, row] of rowsOfTokens(matching)) {
      for (let c = 0; c < channels; c++) {
        y.data[(image * tokens + token) * channels + c] = x.data[(image * rows + row) * channels + c];
      }
    }
  }
  return y;
}

/** Each token and the row that it goes to. */
function rowsOfTokens({ destinations, sources, kept }: Matching): [token: number, row: number][] {
  return [
    ...destinations.map((token, i): [number, number] => [token, kept + i]),
    ...sources.map(({ token, place }): [number, number] => [token, place]),
  ];
}
