/** The GPU memory of parameters: how much each takes, and all of one component's together. */
import type { Device } from "../gpu/device.ts";
import { isMatmulWeight, packsPairs, type Parameter, takesWinograd, type Target } from "../graph/graph.ts";
import { textureBytes, textureSize } from "../graph/textures.ts";
import type { Module } from "../nn/module.ts";
import { elements } from "../tensor/shape.ts";

/** Of the textures that hold weights: four halves, four floats, or the eight halves of two rows. */
export type WeightFormat = "rgba16float" | "rgba32float" | "rgba32uint";

/** Bytes of a texel. */
const texelBytes: Readonly<Record<WeightFormat, number>> = { rgba16float: 8, rgba32float: 16, rgba32uint: 16 };

/** The GPU memory of one component's parameters. */
export class Weights implements Disposable {
  readonly #resources: (GPUBuffer | GPUTexture)[] = [];
  bytes = 0;

  constructor(readonly device: Device) {}

  buffer(label: string, size: number): GPUBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.memory.buffer("weights", { label, size, usage });
    this.#resources.push(buffer);
    this.bytes += size;
    return buffer;
  }

  /** A storage texture of whole rows for `texels`. */
  texture(label: string, texels: number, format: WeightFormat): GPUTexture {
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC | GPUTextureUsage.COPY_DST;
    const bytes = formatBytes(texels, format);
    const texture = this.device.memory.texture("weights", { label, size: textureSize(texels), format, usage }, bytes);
    this.#resources.push(texture);
    this.bytes += bytes;
    return texture;
  }

  /** All of it. */
  get resources(): readonly (GPUBuffer | GPUTexture)[] {
    return this.#resources;
  }

  [Symbol.dispose](): void {
    for (const resource of this.#resources.splice(0)) this.device.memory.free(resource);
    this.bytes = 0;
  }
}

/** Bytes of a texture for `texels` of a format. */
function formatBytes(texels: number, format: WeightFormat): number {
  return textureBytes(texels * texelBytes[format], texelBytes[format]);
}

/** Of a texture whose texels are the four numbers of a vec4. */
export function textureFormat(type: string): "rgba16float" | "rgba32float" {
  return type === "f16" ? "rgba16float" : "rgba32float";
}

/** Numbers in one row: of a matmul weight all of one output channel, of a vector all there are. */
export function rowElements({ shape, layout }: Parameter): number {
  return layout === "vector" ? elements(shape) : elements(shape.slice(1));
}

/** Vec4s of a parameter as it lies on the GPU. */
export function packedSize4({ layout, shape }: Parameter): number {
  switch (layout) {
    case "vector":
      return Math.ceil(elements(shape) / 4);
    case "rows":
      return shape[0] * Math.ceil(elements(shape.slice(1)) / 4);
    case "matmul":
    case "gated":
    case "convolution":
      return elements(shape.slice(2)) * Math.ceil(shape[1] / 4) * 4 * Math.ceil(shape[0] / 4);
    default:
      return layout satisfies never;
  }
}

/** Texels of the weight of a convolution by Winograd's algorithm: 16 positions of two inputs' 4 output channels. */
export function winogradTexels({ shape: [out, inner] }: Parameter): number {
  return 16 * (inner / 2) * (out / 4);
}

/** Bytes that a parameter takes on the GPU. */
export function parameterBytes(parameter: Parameter, target: Target): number {
  const { weightType, weightStorage } = target;
  const size4 = packedSize4(parameter), type = parameter.layout === "vector" ? "f32" : weightType;
  if (takesWinograd(parameter, target)) return formatBytes(winogradTexels(parameter), "rgba32uint");
  if (packsPairs(parameter, target)) return formatBytes(size4 / 2, "rgba32uint");
  if (parameter.layout !== "vector" && weightStorage === "texture") return formatBytes(size4, textureFormat(type));
  return size4 * (type === "f16" ? 8 : 16);
}

/** Bytes that the parameters of `module` take on the GPU. */
export function weightsBytes(module: Module, target: Target): number {
  let bytes = 0;
  for (const [, parameter] of module.parameters()) bytes += parameterBytes(parameter, target);
  return bytes;
}

/**
 * Whether the host can fill the texture of a parameter, where it is stored in f16: a matmul weight that is packed in pairs
 * or as floats, or a table that fills whole rows of texels.
 */
export function fillsTexture(parameter: Parameter, target: Target): boolean {
  if (target.weightStorage !== "texture") return false;
  const { layout, shape } = parameter;
  if (takesWinograd(parameter, target)) return false; // there is arithmetic to do
  if (isMatmulWeight(parameter)) return target.weightType === "f32" || packsPairs(parameter, target);
  return layout === "rows" &&
    parameterBytes(parameter, target) === (target.weightType === "f16" ? 2 : 4) * elements(shape);
}
