import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { configs } from "../../src/cli/bench/sd15.ts";
import { Graph, maxLoops } from "../../src/graph/graph.ts";
import { CLIPTextModel, readTextConfig } from "../../src/models/clip/text_model.ts";
import { readUNetConfig } from "../../src/models/unet/config.ts";
import { UNet2DConditionModel } from "../../src/models/unet/unet.ts";
import { AutoencoderKL } from "../../src/models/vae/autoencoder.ts";
import { readVAEConfig } from "../../src/models/vae/config.ts";
import { attention } from "../../src/ops/attention.ts";
import { files, read } from "../files.ts";
import { countLoops, loops, loopsOf, target } from "./budget.ts";
import { recordCase } from "./case.ts";
import { tables } from "./tables/mod.ts";

/** Subgroups of none, Intel's and software drivers' sizes, NVIDIA's, AMD's. */
const lanes = [0, 4, 8, 16, 32, 64];

/** Stable Diffusion 1.5. */
const unet = new UNet2DConditionModel(readUNetConfig(configs.unet));
const vae = new AutoencoderKL(readVAEConfig(configs.vae));
const textEncoder = new CLIPTextModel(readTextConfig(configs.textEncoder));

/** Records a network and compares what every op declares with the formula of its kernel. */
function assertBudget(name: string, subgroupSize: number, record: (graph: Graph) => void): void {
  for (const storage of ["buffer", "texture"] as const) {
    const graph = new Graph(target(subgroupSize, storage));
    record(graph);
    assertDispatches(name, subgroupSize, graph);
  }
}

function assertDispatches(name: string, subgroupSize: number, graph: Graph): void {
  for (const dispatch of graph.dispatches) {
    const counted = loopsOf(dispatch.kernel.name)?.iterations(dispatch) ?? 0;
    const where = `${name}, ${subgroupSize} lanes: ${dispatch.kernel.name} over ${JSON.stringify(dispatch.shape)}`;
    ok(counted <= dispatch.loops, `${where} declares ${dispatch.loops} iterations, and comes to ${counted}`);
    ok(counted <= maxLoops, `${where} comes to ${counted} iterations`);
  }
}

for (const size of [64, 128]) {
  Deno.test(`the U-Net of Stable Diffusion 1.5 keeps the loop budget on ${size}×${size} latents, guided`, () => {
    for (const subgroupSize of lanes) {
      assertBudget("U-Net", subgroupSize, (graph) => {
        const sample = graph.input("sample", [2, size, size, 4], "f32");
        const context = graph.input("context", [2, 77, 768], "f32");
        unet.forward(sample, graph.input("timestep", [1, 320], "f32"), context);
      });
    }
  });
}

for (const size of [512, 1024]) {
  Deno.test(`the VAE of Stable Diffusion 1.5 keeps the loop budget on ${size}×${size} pixels, both ways`, () => {
    for (const subgroupSize of lanes) {
      assertBudget("decoder", subgroupSize, (graph) => {
        vae.decode(graph.input("latents", [1, size / 8, size / 8, 4], "f32"));
      });
      assertBudget("encoder", subgroupSize, (graph) => {
        vae.encode(graph.input("pixels", [1, size, size, 3], "f32"));
      });
    }
  });
}

Deno.test("the text encoder of Stable Diffusion 1.5 keeps the loop budget", () => {
  for (const subgroupSize of lanes) {
    assertBudget("text encoder", subgroupSize, (graph) => {
      textEncoder.forward(graph.input("ids", [2, 77, 1], "u32"));
    });
  }
});

Deno.test("no op declares fewer loop iterations than its kernel comes to, on any shape of the tables", () => {
  for (const { op, cases } of tables) {
    for (const line of cases) {
      for (const subgroupSize of lanes) {
        for (const storage of ["buffer", "texture"] as const) {
          assertDispatches(`${op}, ${line.name}`, subgroupSize, recordCase(line, target(subgroupSize, storage)).graph);
        }
      }
    }
  }
});

Deno.test("an op over the budget is refused where it is recorded", () => {
  const graph = new Graph(target(0));
  const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, [1, 192 * 192, 512], "f32"));
  throws(() => attention(q, k, v, { heads: 1 }), {
    name: "RangeError",
    message: /^Cannot dispatch attention_tiled: \d+ loop iterations in one invocation, 65535 at most$/,
  });
});

Deno.test("the formulas count every loop that the kernels have, and no other kernel has one", () => {
  const sources = [...files("kernels/")].filter((path) => /^kernels\/\w+\.wgsl$/.test(path));
  for (const path of sources) {
    const name = path.slice("kernels/".length, -".wgsl".length);
    if (name === "layer_norm") continue; // which has a library's loops too
    strictEqual(countLoops(read(path)), loops[name]?.statements ?? 0, path);
  }
  const library = (name: string) => read(`kernels/lib/${name}.wgsl`);
  strictEqual(
    countLoops(read("kernels/layer_norm.wgsl") + library("sum_subgroup")),
    loops["layer_norm subgroup"].statements,
  );
  strictEqual(
    countLoops(read("kernels/layer_norm.wgsl") + library("sum_workgroup")),
    loops["layer_norm workgroup"].statements,
  );
  const others = [...files("kernels/lib/")].filter((path) => !/\/sum_\w+\.wgsl$/.test(path));
  deepStrictEqual(others.filter((path) => countLoops(read(path)) > 0), []);
});
