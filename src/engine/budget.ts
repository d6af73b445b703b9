/** How much device memory may be used where nobody says. */
import process from "node:process";
import type { Device } from "../gpu/device.ts";

const GiB = 2 ** 30;

/** Of a machine's memory, where the device's memory is the machine's: the rest is for files, other programmes and ourselves. */
const hostShare = 0.5;
/** Where nothing can be learnt: what most GPUs that are used for this have, less what a desktop takes. */
const unknownBudget = 6 * GiB;

/** Bytes of memory that this process may have: the machine's, or its container's where that has less. */
export function hostBytes(): number {
  const { total } = Deno.systemMemoryInfo(), constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(total, constrained) : total;
}

/**
 * A share of the machine's memory on a software adapter and where the GPU shares it (Metal), else a fixed guess: WebGPU
 * does not say what a GPU has. `hostBytes` is what the machine has, where known.
 */
export function defaultBudget({ software, backend }: Pick<Device, "software" | "backend">, hostBytes?: number): number {
  const isShared = software || backend === "Metal";
  return isShared && hostBytes ? Math.floor(hostBytes * hostShare) : unknownBudget;
}
