import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { readSidecar } from "../../src/checkpoint/sidecar.ts";
import { yamlText } from "../../src/checkpoint/yaml.ts";

/** The head of the config that Stable Diffusion 2.1 is published with. */
const published = `model:
  base_learning_rate: 1.0e-4
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: "v"
    linear_start: 0.00085
    timesteps: 1000
    use_ema: False # we set this to false because this is an inference only config

    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        attention_resolutions: [ 4, 2, 1 ]
        channel_mult:
        - 1
        - 2
        parameterization: eps
`;

Deno.test("yamlText() finds one text in nested mappings, whatever stands around it", () => {
  const at = (...path: string[]) => yamlText(published, path);
  strictEqual(at("model", "params", "parameterization"), "v");
  strictEqual(at("model", "params", "use_ema"), "False");
  strictEqual(at("model", "params", "unet_config", "params", "parameterization"), "eps");
  strictEqual(at("model", "params", "unet_config", "params", "attention_resolutions"), "[ 4, 2, 1 ]");
  strictEqual(at("model", "params"), "");
  strictEqual(at("params"), undefined);
  strictEqual(at("model", "parameterization"), undefined);
  const forms = [
    "a: v",
    "a:   'v'  # why",
    '"a": "v"',
    "a: v # b",
    "# a: x\r\na: v\r\n",
    "- a: x\na: v",
    "b:\n  a: x\na: v",
  ];
  for (const text of forms) strictEqual(yamlText(text, ["a"]), "v", text);
  strictEqual(yamlText("a: 'v # w'", ["a"]), "v # w");
  strictEqual(yamlText("a:v", ["a"]), undefined);
  strictEqual(yamlText("", ["a"]), undefined);
});

Deno.test("a config of latent-diffusion beside a single file says what is predicted, and NAME.json comes before it", () => {
  const folder = Deno.makeTempDirSync(), path = `${folder}/m.safetensors`;
  const said = (yaml: string, json?: object) => {
    Deno.writeTextFileSync(`${folder}/m.yaml`, yaml);
    if (json) Deno.writeTextFileSync(`${folder}/m.json`, JSON.stringify(json));
    return readSidecar(path);
  };
  try {
    deepStrictEqual(readSidecar(path), {});
    deepStrictEqual(said(published), { scheduler: { prediction_type: "v_prediction" } });
    deepStrictEqual(said(published.replace("False", "True")), said(published), "averaged weights are never taken");
    deepStrictEqual(said(published.replace('"v"', "eps")), { scheduler: { prediction_type: "epsilon" } });
    deepStrictEqual(said(published.replace(/parameterization: "v"/, "x: 1")), {
      scheduler: { prediction_type: "epsilon" },
    });
    throws(() => said(published.replace('"v"', "w")), {
      name: "CheckpointError",
      message: `Cannot read ${folder}/m.yaml: its parameterization is "w", and must be one of eps, v, x0`,
    });
    deepStrictEqual(said("a: list of something else"), {});
    deepStrictEqual(said(published, { unet: { sample_size: 8 }, scheduler: { prediction_type: "epsilon", a: 1 } }), {
      unet: { sample_size: 8 },
      scheduler: { prediction_type: "epsilon", a: 1 },
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
