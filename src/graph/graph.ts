/** A model's forward recorded as dispatches: shapes only, nothing computed and nothing allocated. */
import type { Constants, Kernel, ShapeValues } from "../gpu/kernel.ts";
import type { WeightStorage } from "../gpu/device.ts";
import { elements, formatShape, type Shape } from "../tensor/shape.ts";

/** How a value is stored. Arithmetic is f32 whatever the storage. */
export type StorageType = "f32" | "f16" | "u32";

/** What ops need to know of the device to choose their kernels. */
export interface Target {
  /** Lanes of every subgroup; 0: use no subgroup operations. */
  subgroupSize: number;
  weightStorage: WeightStorage;
  /** How packed matmul weights and embeddings are stored. */
  weightType: "f32" | "f16";
  /** What matmuls read: outputs of norms, activations and linear layers. */
  operandType: "f32" | "f16";
  /**
   * The hidden states between blocks: outputs of convolutions and sums. f32 where memory allows, because a group norm
   * over few values amplifies their rounding (measured: 1×1 pixels, two channels a group, 6e-3 of the U-Net's output).
   */
  hiddenType: "f32" | "f16";
  /** Bytes that a value may have, where there is a bound: layers whose values would be larger take their rows in parts. */
  maxBytes?: number;
  /** Whether convolutions find, beyond an edge of their picture, the opposite one: for pictures that tile. */
  wraps?: boolean;
  /** Which share of tokens self-attention at the latents' own size merges away: see ops/merge.ts. */
  tokenMerging?: number;
  /** The tiles of matmuls that were measured to be fastest, by the class of their size: see ops/tiles.ts. */
  tiles?: Readonly<Record<string, TileSize>>;
}

/** What a workgroup of a matmul computes: rows, and vec4 columns of each of its lanes. */
export interface TileSize {
  rows: number;
  columns: number;
}

/** How a parameter is laid out on the GPU: see `engine/load.ts`, which packs it. */
export type ParameterLayout =
  /** f32, padded to whole vec4s: biases and norm scales. */
  | "vector"
  /** [out, in, …taps] packed as [tap, in, out], vec4 along out: linear layers and other convolutions. */
  | "matmul"
  /**
   * [2 · out, in] of a linear layer whose outputs are values and then their gates: as "matmul", its columns a vec4 of
   * values and the vec4 of their gates in turn. `out` is a multiple of 4.
   */
  | "gated"
  /** [out, in, 3, 3] of a convolution of stride 1: as "matmul", or transformed where {@link takesWinograd}. */
  | "convolution"
  /** [rows, width] as stored, each row padded to whole vec4s. */
  | "rows";

/** A trained tensor of a model: its checkpoint's shape, and on the GPU once loaded. */
export class Parameter {
  /** Set by the loader. */
  resource?: GPUBindingResource;

  constructor(readonly shape: Shape, readonly layout: ParameterLayout) {}
}

/** Memory a value lives in; views of one value share it. */
export class Storage {
  /** Set for values that outlive a run: the host's inputs and outputs, and state that a plan updates. */
  name?: string;
  /** Set for inputs that seldom change from one run to the next: see steady.ts. */
  steady = false;

  constructor(readonly bytes: number) {}
}

/** A recorded activation. The last dimension is padded to a multiple of 4 in memory, and the padding is zero. */
export class Value {
  constructor(
    readonly graph: Graph,
    readonly shape: Shape,
    readonly dtype: StorageType,
    readonly storage: Storage,
  ) {}

  /** The same memory under another shape of as many elements and the same last dimension. */
  view(shape: Shape): Value {
    if (elements(shape) !== elements(this.shape) || shape.at(-1) !== this.shape.at(-1)) {
      throw new RangeError(`Cannot view ${formatShape(this.shape)} as ${formatShape(shape)}`);
    }
    return new Value(this.graph, shape, this.dtype, this.storage);
  }
}

/** The size of a shape's last dimension in vec4s. */
export function vec4s(shape: Shape): number {
  return Math.ceil(shape.at(-1)! / 4);
}

/** How many rows of the last dimension a shape has. */
export function rowsOf(shape: Shape): number {
  return elements(shape.slice(0, -1));
}

/** Bytes of a value of this shape, padding included. */
export function storageBytes(shape: Shape, dtype: StorageType): number {
  return rowsOf(shape) * vec4s(shape) * 4 * (dtype === "f16" ? 2 : 4);
}

/** Whether a parameter is what matmuls multiply by, packed with its outputs along vec4s. */
export function isMatmulWeight({ layout }: Parameter): boolean {
  return layout !== "vector" && layout !== "rows";
}

/**
 * Whether a matmul weight is packed two rows a texel: f16 numbers that a subgroup's lanes read from a storage texture, of
 * whole groups of eight inputs. See kernels/matmul_texture.wgsl.
 */
export function packsPairs(parameter: Parameter, { weightStorage, weightType, subgroupSize }: Target): boolean {
  return isMatmulWeight(parameter) && weightStorage === "texture" && weightType === "f16" && subgroupSize > 0 &&
    parameter.shape[1] % 8 === 0;
}

/** Input times output channels of a convolution from which on Winograd's algorithm is faster (measured: BENCHMARKS.md). */
const leastProduct = 256 * 256;
/**
 * And up to which it is taken: transformed weights are 16 numbers for 9, which loading works out (Stable Diffusion 1.5: 107 MiB
 * more of the U-Net, 113 MiB of the VAE).
 */
const mostProduct = 1920 * 640;

/** Whether a 3×3 convolution is run by Winograd's algorithm, and its weights are packed for that: see ops/winograd.ts. */
export function takesWinograd(parameter: Parameter, target: Target): boolean {
  const { layout, shape: [out, inner] } = parameter;
  // A workgroup has rows of one position only, and positions are multiples of 32 rows.
  return layout === "convolution" && packsPairs(parameter, target) && target.subgroupSize <= 32 && out % 8 === 0 &&
    out * inner >= leastProduct && out * inner <= mostProduct;
}

/** What a binding of a kernel is given; undefined binds a few zeros, for kernels that then do not read it. */
export type Operand = Value | Parameter | undefined;

/** One dispatch as recorded. Fusion rewrites it; freezing turns it into a pipeline and a bind group. */
export interface Dispatch {
  kernel: Kernel;
  /** By the name of the kernel's binding. */
  operands: Record<string, Operand>;
  /** The operand that is written. */
  writes: string;
  /** Operands that the kernel reads from storage textures: freezing copies them there. */
  textures: readonly string[];
  constants: Constants;
  shape: ShapeValues;
  workgroups: readonly [number, number, number];
  /** Iterations of all loops of one invocation: see {@link Recording.loops}. */
  loops: number;
  /** Multiplications and additions, where they are what takes the time. */
  flops: number;
  /** Of an op of several kernels, what it is once everything that fuses with it has: see {@link Recording.expand}. */
  expand?: (fused: Dispatch) => Dispatch[];
}

/** What an op records. */
export interface Recording {
  operands: Record<string, Operand>;
  /** Names of those values among them that the kernel reads from storage textures. */
  textures?: readonly string[];
  constants?: Constants;
  shape?: ShapeValues;
  /** Workgroups along x, y, z. */
  workgroups: readonly number[];
  /** Iterations of all loops of one invocation together: a software driver stops silently at 65,535. */
  loops?: number;
  /** Multiplications and additions that are run, for profiles; left out where memory is what takes the time. */
  flops?: number;
  /**
   * The dispatches that take this one's place after fusion, for an op of several kernels that fuses as a whole. They write
   * the same operand; values between them are their own.
   */
  expand?: (fused: Dispatch) => Dispatch[];
}

const maxWorkgroups = 65535;
/** Iterations of all loops of one invocation: see {@link Recording.loops}. */
export const maxLoops = 65535;

export class Graph {
  readonly dispatches: Dispatch[] = [];
  /** So many dispatches, the first ones, follow from steady inputs alone: they run when one was written. */
  steady = 0;
  /** Values with a name, which keep their memory between runs. */
  readonly named = new Map<string, Value>();

  constructor(readonly target: Target) {}

  /** A value the host writes, or that several runs or plans share; a steady one the host alone, and seldom. */
  input(name: string, shape: Shape, dtype: StorageType, { steady = false } = {}): Value {
    const value = new Value(this, shape, dtype, new Storage(storageBytes(shape, dtype)));
    value.storage.steady = steady;
    this.keep(name, value);
    return value;
  }

  /** Names a value, so that it survives the run and the host can read it. */
  keep(name: string, value: Value): void {
    if (this.named.has(name)) throw new RangeError(`Cannot name a second value "${name}" in one graph`);
    value.storage.name = name;
    this.named.set(name, value);
  }

  /** Records a dispatch that computes a new value, bound as `y`. */
  record(kernel: Kernel, output: { shape: Shape; dtype: StorageType }, recording: Recording): Value {
    const value = new Value(this, output.shape, output.dtype, new Storage(storageBytes(output.shape, output.dtype)));
    this.#push(kernel, { ...recording, operands: { ...recording.operands, y: value } }, "y");
    return value;
  }

  /** Records a dispatch that changes the named operand in place; it must be a kept value. */
  update(kernel: Kernel, writes: string, recording: Recording): void {
    this.#push(kernel, recording, writes);
  }

  #push(kernel: Kernel, recording: Recording, writes: string): void {
    for (const operand of Object.values(recording.operands)) {
      if (operand instanceof Value && operand.graph !== this) {
        throw new RangeError(`Cannot mix values of two graphs in ${kernel.name}`);
      }
    }
    this.dispatches.push(dispatchOf(kernel, recording, writes));
  }
}

/**
 * The dispatch of a recording that writes the operand `writes`.
 * @throws {RangeError} when it has more workgroups or loops than every device runs.
 */
export function dispatchOf(
  kernel: Kernel,
  { operands, textures = [], constants = {}, shape = {}, workgroups, loops = 0, flops = 0, expand }: Recording,
  writes: string,
): Dispatch {
  const [x, y = 1, z = 1] = workgroups;
  if (Math.max(x, y, z) > maxWorkgroups || !(x * y * z >= 1)) {
    throw new RangeError(
      `Cannot dispatch ${kernel.name} over [${workgroups}] workgroups: each must be 1 to ${maxWorkgroups}`,
    );
  }
  if (loops > maxLoops) {
    throw new RangeError(
      `Cannot dispatch ${kernel.name}: ${loops} loop iterations in one invocation, ${maxLoops} at most`,
    );
  }
  return { kernel, operands, writes, textures, constants, shape, workgroups: [x, y, z], loops, flops, expand };
}

/** Splits `count` workgroups over x and y so that neither passes the limit; kernels use x + y · 65535. */
export function spread(count: number): [x: number, y: number] {
  return [Math.min(count, maxWorkgroups), Math.ceil(count / maxWorkgroups)];
}
