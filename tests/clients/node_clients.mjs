// npm's openai, @huggingface/inference and the AI SDK, from the tree of packages that the second argument names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";

const [url, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const load = async (name) => await import(pathToFileURL(require.resolve(name)).href);
const { default: OpenAI, toFile } = await load("openai");
const { InferenceClient } = await load("@huggingface/inference");
const { generateImage, experimental_generateImage } = await load("ai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

const prompt = "a red circle on a blue background";
const small = { prompt, size: "128x128", steps: 4, seed: 1 };
const done = (name) => console.log(`ok ${name}`);
/** The bytes, which begin as a PNG does. */
function png(bytes) {
  assert.equal(Buffer.from(bytes).subarray(1, 4).toString(), "PNG");
  return Buffer.from(bytes);
}

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
const { data: [{ b64_json }] } = await openai.images.generate({ model: "tiny", ...small });
const picture = png(Buffer.from(b64_json, "base64"));
const types = [];
for await (const event of await openai.images.generate({ ...small, stream: true, partial_images: 1 })) {
  types.push(event.type);
  if (event.type === "image_generation.completed") assert.equal(event.b64_json, b64_json);
}
assert.equal(types.at(-1), "image_generation.completed");
const image = await toFile(picture, "in.png", { type: "image/png" });
for (const given of [image, [image]]) {
  const edited = await openai.images.edit({ image: given, ...small });
  png(Buffer.from(edited.data[0].b64_json, "base64"));
}
png(Buffer.from((await openai.images.createVariation({ image, size: "128x128" })).data[0].b64_json, "base64"));
await assert.rejects(openai.images.generate({ ...small, model: "none" }), { status: 404, code: "model_not_found" });
done("openai");

for (const endpointUrl of [`${url}/hf`, `${url}/models/tiny`]) {
  const client = new InferenceClient("hf_any", { endpointUrl });
  const parameters = { width: 128, height: 128, num_inference_steps: 4, seed: 1 };
  png(await (await client.textToImage({ inputs: prompt, parameters }, { outputType: "blob" })).arrayBuffer());
  const again = await client.imageToImage({ inputs: new Blob([picture]), parameters: { prompt } });
  png(await again.arrayBuffer());
  await assert.rejects(client.textToImage({ inputs: prompt, parameters: { num_inference_steps: 0 } }));
}
done("@huggingface/inference");

const provider = createOpenAICompatible({ name: "here", baseURL: `${url}/v1`, apiKey: "any" });
const make = generateImage ?? experimental_generateImage;
const made = await make({ model: provider.imageModel("tiny"), prompt, size: "128x128", maxRetries: 0 });
png(made.image.uint8Array);
await assert.rejects(make({ model: provider.imageModel("none"), prompt, maxRetries: 0 }), /none/);
done("ai with @ai-sdk/openai-compatible");
