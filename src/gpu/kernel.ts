/** A kernel is a WGSL file with declared constants; a pipeline is one choice of them, compiled for one device. */
import type { Device } from "./device.ts";
import { GpuValidationError } from "./errors.ts";
import { type Binding, bindings, type Constants, type Field, shapeFields, specialise } from "./wgsl.ts";

export type { Constants } from "./wgsl.ts";

/** The values of a kernel's `Shape`, by field name. */
export type ShapeValues = Readonly<Record<string, number>>;

/** WGSL source with a name: `new Kernel("group_norm", reduce + source)`. */
export class Kernel {
  constructor(readonly name: string, readonly source: string) {}

  /** Tells one pipeline of this kernel from another. */
  key(constants: Constants): string {
    return `${this.name} ${Object.entries(constants).map(([name, value]) => `${name}=${value}`).join(" ")}`;
  }
}

/** A compiled kernel and what it wants bound. */
export interface Pipeline {
  label: string;
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  bindings: readonly Binding[];
  fields: readonly Field[];
}

/** Compiles; errors reach {@link Device.throwIfFailed}, with the kernel's name, because WebGPU reports them late. */
export function compile(device: Device, kernel: Kernel, constants: Constants): Pipeline {
  const label = kernel.key(constants);
  const code = specialise(kernel.source, constants);
  const declared = bindings(code);
  const layout = device.gpu.createBindGroupLayout({
    label,
    entries: declared.map(({ index, layout }) => ({ binding: index, visibility: GPUShaderStage.COMPUTE, ...layout })),
  });
  const pipeline = device.gpu.createComputePipeline({
    label,
    layout: device.gpu.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
    compute: { module: device.gpu.createShaderModule({ label, code }), entryPoint: "main" },
  });
  return { label, pipeline, layout, bindings: declared, fields: shapeFields(code) };
}

/**
 * Writes a `Shape` at `offset` of `target`.
 * @throws {GpuValidationError} when the values and the struct's fields are not the same names.
 */
export function writeShape(pipeline: Pipeline, values: ShapeValues, target: DataView, offset: number): void {
  const unknown = Object.keys(values).filter((name) => !pipeline.fields.some((field) => field.name === name));
  const missing = pipeline.fields.filter(({ name }) => values[name] === undefined).map(({ name }) => name);
  if (unknown.length || missing.length) {
    throw new GpuValidationError(`${pipeline.label}: Shape lacks [${unknown}] or has no value for [${missing}]`);
  }
  for (const [i, { name, type }] of pipeline.fields.entries()) {
    const at = offset + 4 * i;
    if (type === "f32") target.setFloat32(at, values[name], true);
    else if (type === "i32") target.setInt32(at, values[name], true);
    else target.setUint32(at, values[name], true);
  }
}
