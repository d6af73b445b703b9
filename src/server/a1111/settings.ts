/** A1111's settings, as far as they mean something here: set for all by `POST options`, or for one request. */
import { RequestError } from "../../engine/request.ts";
import { type FileFormat, fileFormats } from "../delivery.ts";
import type { Translation, Wire } from "../translate.ts";
import { titleOf } from "./lists.ts";

/** The settings that change a picture. */
interface Values {
  /** A model by its title or name; the loaded one where empty. */
  sd_model_checkpoint: string;
  sd_vae: string;
  CLIP_stop_at_last_layers: number;
  eta_noise_seed_delta: number;
  token_merging_ratio: number;
  randn_source: string;
  samples_format: string;
  show_progress_every_n_steps: number;
}

const usual: Values = {
  sd_model_checkpoint: "",
  sd_vae: "Automatic",
  CLIP_stop_at_last_layers: 1,
  eta_noise_seed_delta: 0,
  token_merging_ratio: 0,
  randn_source: "NV",
  samples_format: "png",
  show_progress_every_n_steps: 10,
};

/** Whose random numbers each source stands for: those on a GPU are CUDA's. */
const sources: Record<string, string> = { nv: "nv", gpu: "nv", cpu: "cpu" };

/** Settings in force; another object for each request that overrides some. */
export class Settings {
  readonly #values: Values;

  constructor(values: Values = { ...usual }) {
    this.#values = values;
  }

  /** These settings with others in place of some. What means nothing here is marked as ignored by nobody reading it. */
  with(wire: Wire): Settings {
    return new Settings({ ...this.#values, ...read(wire) });
  }

  /** Changes settings for good. The engine's own model is not kept by its name. */
  change(wire: Wire, { loaded }: { loaded: string }): void {
    Object.assign(this.#values, read(wire));
    if (modelName(this.#values.sd_model_checkpoint) === loaded) this.#values.sd_model_checkpoint = "";
  }

  /** The name of the model in use, where it is another than the engine's own. */
  get model(): string | undefined {
    return modelName(this.#values.sd_model_checkpoint) || undefined;
  }

  /** The options as `GET options` gives them, where `loaded` is the engine's own model. */
  list(loaded: string): Record<string, unknown> {
    return {
      ...this.#values,
      sd_model_checkpoint: titleOf(this.model ?? loaded),
      sd_checkpoint_hash: "",
      forge_preset: "sd",
    };
  }

  /** @throws RequestError */
  #format(): FileFormat {
    const given = this.#values.samples_format.toLowerCase().replace("jpg", "jpeg");
    const format = fileFormats.find((format) => format === given);
    if (format) return format;
    throw wrong("samples_format", given, "png, jpg or webp");
  }

  /**
   * Sets the native fields that follow from the settings.
   *
   * @returns the format of files
   * @throws RequestError where a setting's value is none
   */
  apply(into: Translation): FileFormat {
    const { sd_vae: vae, randn_source: source, ...values } = this.#values;
    into.set("model", this.model, "sd_model_checkpoint");
    if (!["automatic", "none", ""].includes(vae.toLowerCase())) throw wrong("sd_vae", vae, "Automatic");
    const rng = sources[source.toLowerCase()];
    if (!rng) throw wrong("randn_source", source, "GPU, CPU or NV");
    into.set("rng", rng, "randn_source");
    if (values.CLIP_stop_at_last_layers > 1) {
      into.set("clip_skip", values.CLIP_stop_at_last_layers, "CLIP_stop_at_last_layers");
    }
    const every = values.show_progress_every_n_steps;
    if (every > 0) into.prefer("previews", Math.min(150, Math.floor((stepsOf(into.fields) - 1) / every) || 0));
    if (values.eta_noise_seed_delta !== 0) into.set("eta_noise_seed_delta", values.eta_noise_seed_delta);
    if (values.token_merging_ratio !== 0) into.set("token_merging_ratio", values.token_merging_ratio);
    return this.#format();
  }
}

/** Steps of a picture's passes. */
function stepsOf(fields: ReadonlyMap<string, unknown>): number {
  const steps = Number(fields.get("steps"));
  if (!fields.get("enable_hr")) return steps;
  return steps + Math.floor((Number(fields.get("hr_second_pass_steps")) || steps) * Number(fields.get("strength")));
}

/** A model's name, without the ending and the hash that titles have. */
export function modelName(title: string): string {
  return title.replace(/ \[[0-9a-f]+\]$/i, "").replace(/\.safetensors$/i, "");
}

function read(wire: Wire): Partial<Values> {
  const found: [string, unknown][] = [];
  for (const [name, value] of Object.entries(usual)) {
    const given = typeof value === "number" ? wire.number(name) : wire.text(name);
    if (given !== undefined) found.push([name, given]);
  }
  return Object.fromEntries(found);
}

function wrong(name: string, found: string, wanted: string): RequestError {
  return new RequestError(name, `Field ${name} is ${JSON.stringify(found.slice(0, 60))}, ${wanted} would do`);
}
