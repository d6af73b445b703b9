/** Every kind of PNG that the server sends, as `pngcheck` judges it: part of `deno task test:clients`. */
import assert from "node:assert/strict";
import { decodeBase64 } from "@std/encoding";
import { Server } from "../server/programme.ts";

const picture = "prompt=caf%C3%A9+%F0%9F%90%88+a+red+circle&steps=4&seed=1";

Deno.test("pngcheck finds nothing wrong with any kind of PNG that the server sends", async () => {
  const found = await new Deno.Command("pngcheck", { stdout: "null", stderr: "null" }).output().catch(() => undefined);
  if (!found) return console.log("there is no pngcheck here, which apt-get install pngcheck would change");
  await using server = await Server.start();
  const folder = await Deno.makeTempDir(), names: string[] = [];
  try {
    for await (const [name, png] of pngsOf(server)) {
      await Deno.writeFile(`${folder}/${name}.png`, png);
      names.push(name);
    }
    const args = ["-v", "-q", ...names.map((name) => `${folder}/${name}.png`)];
    const { success, stdout, stderr } = await new Deno.Command("pngcheck", { args }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.ok(success, said);
    console.log(`${names.length} files: ${names.join(", ")}`);
    assert.ok(names.length === 22, names.join());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The files by what they are. */
async function* pngsOf(server: Server): AsyncGenerator<[name: string, png: Uint8Array]> {
  const get = async (query: string) => await (await server.get(`${picture}&${query}`)).bytes();
  const post = async (path: string, body: unknown) => {
    const headers = { "content-type": "application/json" };
    return await (await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  yield ["plain", await get("")];
  for (const [width, height] of [[8, 8], [72, 200], [256, 64]]) {
    yield [`${width}x${height}`, await get(`width=${width}&height=${height}`)];
  }
  yield ["early", await get("early=1")];
  for (const previews of [1, 3]) yield [`apng-${previews}`, await get(`format=apng&previews=${previews}`)];
  yield ["apng-second-pass", await get("format=apng&previews=4&enable_hr=1&hr_scale=1.5&width=64&height=64")];
  for (const [i, part] of [...partsIn(await get("format=multipart&previews=2"))].entries()) yield [`part-${i}`, part];
  const lines = new TextDecoder().decode(await get("format=ndjson&previews=2&n=2")).trim().split("\n");
  const pictures = lines.map((line) => JSON.parse(line)).filter(({ b64 }) => b64);
  for (const [i, { type, b64 }] of pictures.entries()) yield [`line-${i}-${type}`, decodeBase64(b64)];
  const { links } = await post("/v1/jobs", { prompt: "", steps: 2, n: 2 });
  for (const [i, image] of links.images.entries()) yield [`job-${i}`, await (await fetch(server.url + image)).bytes()];
  const { images } = await post("/sdapi/v1/txt2img", { width: 128, height: 128, steps: 2 });
  yield ["a1111", decodeBase64(images[0])];
  const { data } = await post("/v1/images/generations", { prompt: "", size: "128x128", steps: 2 });
  yield ["openai", decodeBase64(data[0].b64_json)];
  const { outputs } = await post("/v2/models/tiny/infer", {
    inputs: [["prompt", "BYTES", "x"], ["steps", "INT32", 2]].map(([name, datatype, value]) => (
      { name, datatype, shape: [1], data: [value] }
    )),
  });
  yield ["kserve", decodeBase64(outputs[0].data[0])];
}

/** The files in `multipart/x-mixed-replace`. */
function* partsIn(body: Uint8Array): Generator<Uint8Array> {
  const text = new TextDecoder("latin1").decode(body);
  for (const { index, 0: head, 1: length } of text.matchAll(/Content-Length: (\d+)\r\n\r\n/g)) {
    yield body.slice(index + head.length, index + head.length + Number(length));
  }
}
