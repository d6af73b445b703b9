/**
 * Finds out which kernels run fastest on an adapter: how they work together (by subgroups or by workgroup memory), where
 * weights lie, and into which tiles matmuls are divided.
 */
import { type AdapterIdentity, type Device, openDevice, type Way } from "../gpu/device.ts";
import { DeviceLostError, GpuOutOfMemoryError, GpuValidationError } from "../gpu/errors.ts";
import { Graph, type Target, type TileSize, type Value } from "../graph/graph.ts";
import { freeze, type Plan } from "../graph/plan.ts";
import { profile } from "../graph/profile.ts";
import { BasicTransformerBlock } from "../models/unet/transformer.ts";
import { Conv2d, Linear } from "../nn/layers.ts";
import type { Module } from "../nn/module.ts";
import { classChannels, classRows, defaultTileSize, sizeClass, tileSizes } from "../ops/tiles.ts";
import { reserveWeights } from "./load.ts";
import { createBackend } from "./model.ts";
import type { Tuning } from "./tuning.ts";
import type { Weights } from "./weights.ts";

/** Another way than the usual one is taken where it takes at most this share of its time: measurements vary by less. */
const clearly = 0.95;
/** Runs of which the median counts. */
const runs = 3;
/** Inputs of the matmuls that tiles are compared by. */
const innerChannels = 320;

/** Something that was compared, for whoever watches. */
export interface Compared {
  what: string;
  /** Milliseconds by name, the usual choice first. */
  ms: Readonly<Record<string, number>>;
  chosen: string;
}

/** What is measured. */
export interface TuneOptions {
  gpu?: string;
  /** What is compared to the usual way: all others that the device can go, unless said. */
  others?: readonly Way[];
  /** Rows that layers of all ways are compared with. */
  rows?: number;
  /** Matmuls whose tiles are compared, by rows and output channels. */
  matmuls?: readonly (readonly [rows: number, channels: number])[];
  observe?: (compared: Compared) => void;
}

/** Every class of matmuls. */
const allMatmuls = classRows.flatMap((rows) => classChannels.map((channels) => [rows, channels] as const));

/** Measures an adapter. */
export async function tune(
  { gpu, others, rows = 1024, matmuls = allMatmuls, observe = () => {} }: TuneOptions = {},
): Promise<{ adapter: AdapterIdentity; tuning: Tuning }> {
  const { adapter, ways: [first, ...able] } = await waysOf(gpu), ways = [first, ...others ?? able];
  const times = new Map<Way, number>();
  for (const way of ways) {
    using device = await openDevice({ gpu, ...way });
    times.set(way, await unlessRefused(layersMs(device, rows), way === first));
  }
  const way = fastest(ways, (each) => times.get(each)!);
  const names = Object.fromEntries(ways.map((each) => [wayName(each), times.get(each)!]));
  observe({ what: `layers of ${rows} pixels`, ms: names, chosen: wayName(way) });

  using device = await openDevice({ gpu, ...way });
  const tiles: Record<string, TileSize> = {};
  for (const [rows, channels] of matmuls) {
    const usual = defaultTileSize(device.subgroupSize, channels / 4, 2 * rows * innerChannels * channels);
    const sizes = [usual, ...tileSizes(device.subgroupSize)]
      .filter((size, i, all) => all.findIndex((each) => tileName(each) === tileName(size)) === i);
    const ms = await matmulMs(device, rows, channels, sizes), tile = fastest(sizes, (size) => ms[sizes.indexOf(size)]);
    if (tile !== sizes[0]) tiles[sizeClass(rows, channels / 4)] = tile;
    const names = Object.fromEntries(sizes.map((size, i) => [tileName(size), ms[i]]));
    observe({ what: `matmul of ${rows} rows, ${innerChannels} to ${channels}`, ms: names, chosen: tileName(tile) });
  }
  return { adapter, tuning: { ...way, tiles } };
}

/** What a candidate takes; for ever where the driver cannot run it, unless it is the `usual` one. */
async function unlessRefused(ms: Promise<number>, usual: boolean): Promise<number> {
  try {
    return await ms;
  } catch (error) {
    if (usual || !isRefusal(error)) throw error;
    return Infinity;
  }
}

/** Whether a driver says that it cannot compile or run something. */
function isRefusal(error: unknown): boolean {
  return [GpuValidationError, GpuOutOfMemoryError, DeviceLostError, RangeError].some((kind) => error instanceof kind);
}

/** All that the adapter can do, what is usual there first. */
async function waysOf(gpu: string | undefined): Promise<{ adapter: AdapterIdentity; ways: Way[] }> {
  using plain = await openDevice({ gpu });
  using able = await openDevice({ gpu, subgroups: true });
  const first: Way = { subgroups: plain.subgroupSize > 0, weightStorage: plain.weightStorage };
  const all = [true, false].flatMap((subgroups) =>
    (["texture", "buffer"] as const).map((weightStorage): Way => ({ subgroups, weightStorage }))
  );
  const others = all.filter(({ subgroups, weightStorage }) =>
    (!subgroups || able.subgroupSize > 0) &&
    (subgroups !== first.subgroups || weightStorage !== first.weightStorage)
  );
  return { adapter: plain.adapter, ways: [first, ...others] };
}

function wayName({ subgroups, weightStorage }: Way): string {
  return `${subgroups ? "subgroups" : "workgroup memory"}, weights in a ${weightStorage}`;
}

function tileName({ rows, columns }: TileSize): string {
  return `${rows}×${columns}`;
}

/** The first, unless another one is clearly faster. */
function fastest<Choice>(choices: readonly Choice[], ms: (choice: Choice) => number): Choice {
  const best = choices.reduce((best, each) => ms(each) < ms(best) ? each : best);
  return ms(best) < clearly * ms(choices[0]) ? best : choices[0];
}

/** A transformer block and a convolution as the U-Net's first level has them, both halves of guidance. */
async function layersMs(device: Device, pixels: number): Promise<number> {
  const side = Math.round(Math.sqrt(pixels)), channels = innerChannels, context = 768;
  const block = new BasicTransformerBlock(channels, context, 8), convolution = new Conv2d(channels, channels, 3);
  using ofBlock = await Sample.open(device, block, (graph, { hiddenType, operandType }) => {
    const x = graph.input("x", [2, side ** 2, channels], hiddenType);
    return block.forward(x, graph.input("context", [2, 77, context], operandType));
  });
  using ofConvolution = await Sample.open(device, convolution, (graph, { operandType }) => {
    return convolution.forward(graph.input("x", [2, side, side, channels], operandType));
  });
  return await ofBlock.ms(runs) + await ofConvolution.ms(runs);
}

/** Medians of one matmul in several tiles, which take turns, so that all see the same weather. */
async function matmulMs(device: Device, rows: number, channels: number, sizes: readonly TileSize[]): Promise<number[]> {
  using samples = new DisposableStack();
  const times = new Map<TileSize, { sample: Sample; ms: number[] }>();
  for (const size of sizes) {
    const layer = new Linear(innerChannels, channels), tiles = { [sizeClass(rows, channels / 4)]: size };
    try {
      const sample = await Sample.open(device, layer, (graph, { operandType }) => {
        return layer.forward(graph.input("x", [rows, innerChannels], operandType));
      }, tiles);
      times.set(size, { sample: samples.use(sample), ms: [] });
    } catch (error) {
      if (size === sizes[0] || !isRefusal(error)) throw error;
    }
  }
  for (let run = 0; run < runs; run++) for (const { sample, ms } of times.values()) ms.push(await sample.ms(1));
  return sizes.map((size) => times.get(size)?.ms.sort((a, b) => a - b)[runs >> 1] ?? Infinity);
}

/** Layers that are timed, in f16 where the device has it; their weights and inputs are zeros. */
class Sample implements Disposable {
  private constructor(readonly plan: Plan, readonly weights: Weights) {}

  static async open(
    device: Device,
    module: Module,
    record: (graph: Graph, target: Target) => Value,
    tiles?: Target["tiles"],
  ): Promise<Sample> {
    const { target } = createBackend(device, device.f16 ? "f16" : "f32", { tiles });
    using made = new DisposableStack();
    const weights = made.use(reserveWeights(device, target, module)), graph = new Graph(target);
    graph.keep("y", record(graph, target));
    const sample = new Sample(made.use(freeze(device, graph)), weights);
    sample.plan.run(); // drivers compile when a kernel first runs
    await device.idle();
    made.move();
    return sample;
  }

  async ms(runs: number): Promise<number> {
    return (await profile(this.plan, runs)).reduce((sum, { ms }) => sum + ms, 0);
  }

  [Symbol.dispose](): void {
    this.plan[Symbol.dispose]();
    this.weights[Symbol.dispose]();
  }
}
