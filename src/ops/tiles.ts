/**
 * How the output of a matmul is divided among workgroups: what there is to choose, and what is chosen where nobody has
 * measured. A tile changes how long a matmul takes and none of its bits: each number is summed in one order in all of them.
 */
import type { Target, TileSize } from "../graph/graph.ts";

/** A workgroup's share of the output and the constants that make it so. */
export interface Tile {
  rows: number;
  columns4: number;
  constants: Record<string, number>;
}

/** Rows and channels of the matmuls that classes stand for: by powers of four, and by Stable Diffusion's widths. */
export const classRows = [64, 256, 1024, 4096, 16384], classChannels = [320, 640, 1280, 2560];

/** What choices of tiles are kept by: matmuls of about as many rows and output channels share one. */
export function sizeClass(rows: number, out4: number): string {
  const nearest = Math.round(Math.log2(rows / classRows[0]) / 2);
  const channels = classChannels.find((width) => 4 * out4 <= width) ?? classChannels.at(-1);
  return `${classRows[Math.max(0, Math.min(classRows.length - 1, nearest))]}×${channels}`;
}

/** Every tile that a device of such subgroups, 0 for none, can be given. */
export function tileSizes(subgroupSize: number): TileSize[] {
  const rows = subgroupSize ? [16, 32, 64].filter((rows) => rows % subgroupSize === 0).slice(0, 2) : [32, 64, 128];
  return rows.flatMap((rows) => [1, 2].map((columns) => ({ rows, columns })));
}

/** The tile of a matmul of `rows` rows and `out4` vec4 columns, of so many multiplications and additions. */
export function tileOf(
  { subgroupSize, tiles }: Pick<Target, "subgroupSize" | "tiles">,
  { rows, out4, flops, most = Infinity, isGated = false }: {
    rows: number;
    out4: number;
    flops: number;
    /** Rows that a tile may have. */
    most?: number;
    /** Whether columns are values and their gates in turn: a thread of a tile in workgroup memory then has both. */
    isGated?: boolean;
  },
): Tile {
  const measured = tiles?.[sizeClass(rows, out4)];
  const fits = measured && measured.rows <= most && measured.rows % Math.max(1, subgroupSize) === 0;
  const size = fits ? measured : defaultTileSize(subgroupSize, out4, flops);
  return subgroupSize ? shuffleTile(subgroupSize, size) : tiledTile(isGated ? { ...size, columns: 2 } : size);
}

/** Below this many flops a matmul is over before its tile matters, and small tiles compile several times faster. */
const smallFlops = 3.5e8;

/** What is taken where nobody has measured: for subgroups what suits a software driver, without them one for all. */
export function defaultTileSize(subgroupSize: number, out4: number, flops: number): TileSize {
  if (!subgroupSize) return { rows: 64, columns: 2 };
  const isSmall = flops < smallFlops;
  const columns = isSmall || out4 <= subgroupSize || subgroupSize >= 16 ? 1 : 2;
  return { rows: Math.max(subgroupSize, isSmall ? 16 : 32), columns };
}

/** One subgroup, each lane of which has `columns` vec4 columns of all `rows`. */
function shuffleTile(LANES: number, { rows: ROWS, columns: COLUMNS }: TileSize): Tile {
  return { rows: ROWS, columns4: LANES * COLUMNS, constants: { LANES, ROWS, COLUMNS } };
}

/** As many threads as rows, eight side by side, each of which has 8 rows × `columns` vec4 columns. */
function tiledTile({ rows: THREADS, columns: THREAD_COLUMNS }: TileSize): Tile {
  return { rows: THREADS, columns4: 8 * THREAD_COLUMNS, constants: { THREADS, THREAD_COLUMNS } };
}
