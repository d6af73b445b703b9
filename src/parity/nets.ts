/** Single networks: text encoders, U-Nets and VAEs, each recorded, run and compared output by output. */
import { basename, dirname } from "node:path";
import type { Backend } from "../engine/model.ts";
import { channelsLast } from "../engine/pipeline.ts";
import type { Device } from "../gpu/device.ts";
import { Graph, Value } from "../graph/graph.ts";
import { freeze } from "../graph/plan.ts";
import { readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { timestepProjection } from "../models/unet/embeddings.ts";
import type { BandOptions } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import { startLatents } from "../ops/latents.ts";
import { elements, type Shape } from "../tensor/shape.ts";
import type { Case } from "./cases.ts";
import { type Measure, NotHere, relRms, TOLERANCES } from "./compare.ts";
import { normal, uniform } from "./hash_weights.ts";
import type { LoadedModel } from "./models.ts";
import { type Fields, type Fixture, type Goldens, type NetIndex, Tensors } from "./oracle.ts";

/** Compares one case of an index. */
type Compare = (
  input: { component: string; one: Fields; tensors: Tensors; model: LoadedModel },
) => AsyncGenerator<Measure>;

/** [images, height, width, channels]. */
type ImageShape = [number, number, number, number];

/** An input in the layout that it is stored in. */
interface Input {
  shape: Shape;
  data: Float32Array;
}

/** Every case of every network's index; the folder of the index is the model's name, the file's is the component's. */
export function* networkCases({ networks }: Goldens): Generator<Case> {
  for (const fixture of networks) yield* casesOf(fixture, basename(dirname(fixture.id)), basename(fixture.id));
}

/** The cases of one index, for the component of the model of that name. */
export function* casesOf(fixture: Fixture<NetIndex>, model: string, component: string): Generator<Case> {
  for (const [i, one] of fixture.index.cases.entries()) {
    yield {
      id: `${fixture.id}/${i}`,
      on: "model",
      model,
      async *compare(load) {
        const compare = compareOf(component, fixture.index);
        using tensors = new Tensors(fixture);
        yield* compare({ component, one, tensors, model: load() });
      },
    };
  }
}

/** What compares a component's cases. Throws NotHere or a ConfigError where the engine has no such network. */
function compareOf(component: string, { kind, config }: NetIndex): Compare {
  if (/^text_encoder/.test(component) && (kind ?? "clip") === "clip") {
    readTextConfig(config, component);
    return compareText;
  }
  if (component === "unet") {
    readUNetConfig(config);
    return compareUNet;
  }
  if (component === "vae" && (kind ?? "vae") === "vae") {
    readVAEConfig(config);
    return compareVAE;
  }
  throw new NotHere(`there is no network ${component}${kind ? ` of kind ${kind}` : ""}`);
}

/** Hidden states of every layer, the one before the last also normed, and the pooled row of the end token. */
const compareText: Compare = async function* ({ component, one, tensors, model }) {
  const { backend, backend: { precision } } = model;
  const network = await model.textEncoder(component);
  const ids = Uint32Array.from(typeof one.ids === "string" ? tensors.floats(one.ids) : one.ids as number[]);
  const graph = new Graph(backend.target), { final_layer_norm } = network.text_model;
  const states = network.hiddenStates(graph.input("ids", [1, ids.length, 1], "u32"));
  for (const [i, state] of states.entries()) graph.keep(`hidden_${i}`, state);
  graph.keep("last_hidden_state", final_layer_norm.forward(states.at(-1)!));
  graph.keep("penultimate_final_norm", final_layer_norm.forward(states.at(-2)!));
  using plan = freeze(backend.device, graph);
  plan.write("ids", ids);
  plan.run();
  // CLIP's end token has the largest id.
  const end = ids.indexOf(ids.reduce((most, id) => Math.max(most, id))), width = network.config.hidden_size;
  const read = async (field: string) => {
    if (field === "penultimate") return await plan.read(`hidden_${states.length - 2}`);
    if (field !== "pooler_output") return await plan.read(field);
    return (await plan.read("last_hidden_state")).slice(end * width, (end + 1) * width);
  };
  for (const [field, name] of Object.entries(one)) {
    if (
      typeof name !== "string" ||
      !/^(hidden_\d+|last_hidden_state|penultimate(_final_norm)?|pooler_output)$/.test(field)
    ) {
      continue;
    }
    // The reference's last entry is what comes out of the last layer, in some versions after the final norm.
    const error = relRms(await read(field), tensors.floats(name));
    yield { group: "text encoder", what: field, error, tolerance: TOLERANCES.textEncoder[precision] };
  }
};

/** One noise prediction. Only a key and a size may be stored of the inputs. */
const compareUNet: Compare = async function* ({ one, tensors, model }) {
  const { backend, backend: { precision } } = model;
  const network = await model.unet(),
    { in_channels, out_channels, cross_attention_dim, block_out_channels } = network.config;
  const { time_cond_proj_dim } = network.config;
  if (typeof one.timestep !== "number") throw new NotHere("one call has one timestep for all pictures");
  const [b, h, w] = (one.size as Shape | undefined) ?? [0, 0, 0];
  const input = (field: string, shape: Shape) =>
    stored(one, field, tensors) ?? keyed({ key: `${one.key}/${field}`, shape }, normal);
  const sample = input("sample", [b, in_channels, h, w]), images = sample.shape[0];
  const context = input("context", [images, Number(one.tokens ?? 77), cross_attention_dim]);
  const condition = time_cond_proj_dim ? input("timestep_cond", [images, time_cond_proj_dim]) : undefined;
  const rows = condition ? images : 1, shape = lastChannels(sample.shape);

  const graph = new Graph(backend.target);
  const inputs = [
    graph.input("sample", shape, precision),
    graph.input("timestep", [rows, block_out_channels[0]], precision),
    graph.input("context", context.shape, precision),
  ] as const;
  const output = network.forward(...inputs, {
    condition: condition && graph.input("condition", condition.shape, precision),
  });
  graph.keep("output", output);
  using plan = freeze(backend.device, graph);
  plan.write("sample", channelsLast(sample.data, shape));
  plan.write("context", context.data);
  const projection = timestepProjection(one.timestep, network.config);
  plan.write(
    "timestep",
    Float32Array.from({ length: rows * projection.length }, (_, i) => projection[i % projection.length]),
  );
  if (condition) plan.write("condition", condition.data);
  plan.run();
  const [, height, width] = shape;
  const golden = channelsLast(tensors.floats(String(one.output)), [images, height, width, out_channels]);
  yield { group: "U-Net", error: relRms(await plan.read("output"), golden), tolerance: TOLERANCES.unet[precision] };
};

/** Both ways in one case, or only one where the case says `what`. */
const compareVAE: Compare = async function* (input) {
  if (input.one.what !== "encode") yield* compareDecode(input);
  if (input.one.what !== "decode") yield* compareEncode(input);
};

/** Latents as the decoder takes them: stored, or the normals of the case's key. */
const compareDecode: Compare = async function* ({ one, tensors, model }) {
  const network = await model.vae(), golden = imagesOf(String(one.decoded ?? one.output), tensors);
  const latents = stored(one, "latents", tensors) ?? keyed(one, normal);
  const decode = (x: Value, options: BandOptions) => network.decode(x, options);
  for await (const [group, decoded] of everyWay("VAE decode", latents, model.backend, decode)) {
    yield measureVAE(group, "decoded", decoded, golden, model);
  }
};

/** What a VAE makes of an input: whole where the device can bind all its values, and of one picture in many bands. */
async function* everyWay(
  group: string,
  { shape, data }: Input,
  { device, vaeTarget, precision }: Backend,
  record: (x: Value, options: BandOptions) => Value,
): AsyncGenerator<[group: string, output: Float32Array]> {
  const input = lastChannels(shape), ways: [group: string, options: BandOptions][] = [[group, {}]];
  if (input[0] === 1) ways.push([`${group} in bands`, { bandBytes: fewBytes }]);
  for (const [way, options] of ways) {
    const graph = new Graph(vaeTarget);
    graph.keep("output", record(graph.input("input", input, precision), options));
    if (!options.bandBytes && !binds(device, graph)) continue;
    using plan = freeze(device, graph);
    plan.write("input", channelsLast(data, input));
    plan.run();
    yield [way, await plan.read("output")];
  }
}

/** Whether the device can bind each value of the graph. */
function binds({ maxBinding }: Device, { dispatches }: Graph): boolean {
  const values = dispatches.flatMap(({ operands }) => Object.values(operands));
  return values.every((value) => !(value instanceof Value) || value.storage.bytes <= maxBinding);
}

/** Bands of the fewest rows, whatever the size. */
const fewBytes = 1;

/** A picture in [-1, 1], stored or the uniforms of the case's key; a draw from its distribution where there is noise. */
const compareEncode: Compare = async function* ({ one, tensors, model }) {
  const { backend } = model, network = await model.vae(), { latent_channels } = network.config;
  const image = stored(one, "image", tensors) ??
    keyed(one, (key, count) => uniform(key, count).map((value) => 2 * value - 1));
  const [images, height, width] = lastChannels(image.shape);
  const encode = (x: Value, options: BandOptions) => network.encode(x, options);
  for await (const [group, moments] of everyWay("VAE encode", image, backend, encode)) {
    const half = (from: number) => moments.filter((_, i) => Math.floor(i / latent_channels) % 2 === from);
    const code: ImageShape = [images, height / network.scale, width / network.scale, latent_channels];
    const draw = stored(one, "noise", tensors);
    const sampled = draw && await sample(backend, { code, moments, posterior: channelsLast(draw.data, code) });
    for (const [what, data] of Object.entries({ mean: half(0), logvar: half(1), sampled })) {
      const name = one[what];
      if (typeof name === "string" && data) yield measureVAE(group, what, data, imagesOf(name, tensors), model);
    }
  }
};

/** A draw from the distributions `moments` of all images of the shape `code`, by the op that starts from a picture. */
async function sample(
  { device, vaeTarget }: Backend,
  { code, moments, posterior }: { code: ImageShape; moments: Float32Array; posterior: Float32Array },
): Promise<Float32Array> {
  const [images, height, width, channels] = code, graph = new Graph(vaeTarget), shape = [1, height, width, channels];
  startLatents({
    latents: graph.input("latents", shape, "f32"),
    noise: graph.input("noise", shape, "f32"),
    start: graph.input("start", [4], "f32"),
    moments: graph.input("moments", [1, height, width, 2 * channels], vaeTarget.hiddenType),
    posterior: graph.input("posterior", shape, "f32"),
  });
  using plan = freeze(device, graph);
  plan.write("start", new Float32Array([1, 0, 1, height * width])); // the draw itself: no scaling, no other noise
  const sampled = new Float32Array(posterior.length), size = height * width * channels;
  for (let i = 0; i < images; i++) { // the op starts every image from one picture
    plan.write("moments", moments.subarray(2 * i * size, 2 * (i + 1) * size));
    plan.write("posterior", posterior.subarray(i * size, (i + 1) * size));
    plan.run();
    sampled.set(await plan.read("latents"), i * size);
  }
  return sampled;
}

function measureVAE(
  group: string,
  what: string,
  found: Float32Array,
  golden: Float32Array,
  { backend: { precision } }: LoadedModel,
): Measure {
  return { group, what, error: relRms(found, golden), tolerance: TOLERANCES.vae[precision] };
}

function stored(one: Fields, field: string, tensors: Tensors): Input | undefined {
  const name = one[field];
  return typeof name === "string" ? { shape: tensors.shape(name), data: tensors.floats(name) } : undefined;
}

/** Numbers of the rule `make` from the case's own key. */
function keyed({ key, shape }: Fields, make: (key: string, count: number) => Float32Array): Input {
  return { shape: shape as Shape, data: make(String(key), elements(shape as Shape)) };
}

/** A golden of pictures or latents with its channels last. */
function imagesOf(name: string, tensors: Tensors): Float32Array {
  return channelsLast(tensors.floats(name), lastChannels(tensors.shape(name)));
}

/** [images, channels, height, width] to [images, height, width, channels]. */
function lastChannels([images, channels, height, width]: Shape): ImageShape {
  return [images, height, width, channels];
}
