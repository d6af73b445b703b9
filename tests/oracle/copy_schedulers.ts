/**
 * Copies the part of the scheduler goldens that this project runs: `schedulers.json` and `schedulers.safetensors` of one
 * folder, cut down to the kinds and sigma spacings below, into another. The format stays the same.
 *
 *     deno run --allow-read --allow-write --allow-ffi tests/oracle/copy_schedulers.ts FROM tests/oracle/goldens
 */
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";

const KINDS = ["ddpm", "ddim", "ddim_eta1", "euler", "euler_a", "dpmpp_2m"];
/** The second part of a case's name: a sigma spacing, or `img2img`. */
const PARTS = ["none", "karras", "img2img"];
/** Tensors that belong to no case. */
const COMMON = ["init", "x0", "noise", "alphas_cumprod", "alphas_cumprod_zero_snr"];

interface Named {
  name: string;
}

function isWanted({ name }: Named): boolean {
  const [kind, part] = name.split(".");
  return KINDS.includes(kind) && PARTS.includes(part);
}

const [from, to] = Deno.args;
if (!to) throw new Error("Say where from and where to: copy_schedulers.ts FROM TO");
const index = JSON.parse(Deno.readTextFileSync(`${from}/schedulers.json`));
index.cases = index.cases.filter((one: Named & { kind: string }) =>
  isWanted(one) || (one.name.startsWith("extra.") && KINDS.includes(one.kind))
);
index.unsupported = index.unsupported.filter(isWanted);
index.add_noise_20_steps = Object.fromEntries(
  Object.entries(index.add_noise_20_steps).filter(([kind]) => KINDS.includes(kind)),
);

using source = openCheckpoint(`${from}/schedulers.safetensors`);
const text = JSON.stringify(index);
const tensors = new Map<string, TensorData>();
for (const [name, { dtype, shape }] of source.tensors) {
  if (COMMON.includes(name) || text.includes(`"${name}"`)) tensors.set(name, { dtype, shape, data: source.bytes(name) });
}
writeSafetensors(`${to}/schedulers.safetensors`, tensors);
Deno.writeTextFileSync(`${to}/schedulers.json`, JSON.stringify(index) + "\n");
console.log(`${index.cases.length} cases, ${tensors.size} tensors`);
