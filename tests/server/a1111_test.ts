import assert from "node:assert/strict";
import { decode } from "fast-png";
import { decodeBase64, encodeBase64 } from "@std/encoding";
import { info } from "./fake_engine.ts";
import { moment, serve } from "./serve.ts";

const api = "/sdapi/v1";

Deno.test("txt2img answers pictures, the request's echo and a text of JSON, from the words that A1111's clients use", async () => {
  using server = serve();
  const body = {
    prompt: "a cat",
    negative_prompt: "dog",
    sampler_name: "DPM++ 2M",
    sampler_index: "Euler",
    scheduler: "Karras",
    seed: 5,
    steps: 3,
    cfg_scale: 4.5,
    width: 72,
    height: 64,
    batch_size: 1,
    n_iter: 1,
    script_args: [],
    alwayson_scripts: {},
    enable_hr: false,
    hr_scale: 2,
    denoising_strength: 0.7,
    override_settings: { CLIP_stop_at_last_layers: 1, randn_source: "CPU" },
    firstphase_width: 0,
    url: "junk",
  };
  const answer = server.send("POST", `${api}/txt2img`, body);
  const job = await server.engine.next();
  const { request } = job;
  assert.deepEqual(
    [request.sampler, request.scheduler, request.guidanceScale, request.rng, request.width, request.steps],
    ["dpmpp_2m", "karras", 4.5, "cpu", 72, 3],
  );
  job.run();
  const response = await answer;
  assert.equal(response.headers.get("x-ignored-fields"), "url");
  const { images, parameters, info } = await response.json();
  assert.equal(decode(decodeBase64(images[0])).width, 72);
  assert.deepEqual(parameters, body);
  const made = JSON.parse(info);
  assert.deepEqual([made.seed, made.all_seeds, made.sampler_name, made.job_timestamp.length], [5, [5], "DPM++ 2M", 14]);
  assert.match(made.infotexts[0], /^a cat\nNegative prompt: dog\nSteps: 3, Sampler: DPM\+\+ 2M, Schedule type: Karras/);
});

Deno.test("what is absent has A1111's defaults", async () => {
  using server = serve();
  server.send("POST", `${api}/txt2img`, { sampler_name: null, scheduler: "automatic" });
  const { request } = await server.engine.next();
  assert.deepEqual(
    [request.prompt, request.steps, request.width, request.height, request.guidanceScale, request.sampler],
    ["", 50, 512, 512, 7, "euler"],
  );
});

Deno.test("a scheduler beside DDIM or PLMS is passed over, as there; an explicit eta of 0 is kept", async () => {
  const understood = async (body: Record<string, unknown>) => {
    using server = serve();
    server.send("POST", `${api}/txt2img`, body);
    return (await server.engine.next()).request;
  };
  for (const [name, sampler] of [["DDIM", "ddim"], ["PLMS", "pndm"]]) {
    const request = await understood({ sampler_name: name, scheduler: "Karras" });
    assert.deepEqual([request.sampler, request.scheduler], [sampler, "automatic"]);
  }
  assert.equal((await understood({ sampler_name: "Euler a", eta: 0 })).eta, 0);
  assert.equal((await understood({ sampler_name: "Euler a" })).eta, 1);
});

Deno.test("img2img starts from the first picture, which the echo leaves out unless it is asked for", async () => {
  using server = serve();
  const picture = encodeBase64(await Deno.readFile(new URL("../oracle/bad/pictures/ok_420.jpg", import.meta.url)));
  for (const include_init_images of [false, true]) {
    const body = { init_images: [picture], denoising_strength: 0.5, width: 64, height: 64, include_init_images };
    const answer = server.send("POST", `${api}/img2img`, body);
    const job = await server.engine.next();
    assert.equal(job.request.initImage!.length, 64 * 64 * 3);
    assert.equal(job.request.strength, 0.5);
    job.run();
    const { parameters, info } = await (await answer).json();
    assert.deepEqual(parameters.init_images, include_init_images ? [picture] : null);
    assert.equal(JSON.parse(info).denoising_strength, 0.5);
  }
  const missing = await server.send("POST", `${api}/img2img`, {});
  assert.deepEqual([missing.status, (await missing.json()).detail], [404, "Init image not found"]);
});

Deno.test("errors have A1111's shapes, in its words", async () => {
  using server = serve();
  const post = async (body: unknown, path = "txt2img") => {
    const response = await server.send("POST", `${api}/${path}`, body);
    return [response.status, await response.json()];
  };
  const [status, { detail }] = await post({ denoising_strength: 1, steps: 0 });
  assert.equal(status, 422);
  assert.deepEqual(detail, [{
    loc: ["body", "steps"],
    msg: "Field steps is 0, a whole number from 1 to 150 would do",
    type: "value_error",
  }]);
  const [unknown, error] = await post({ sampler_name: "Bogus" });
  assert.deepEqual([unknown, error.error, error.detail], [404, "HTTPException", "Sampler not found"]);
  for (
    const [body, loc] of [
      [{ enable_hr: true, width: 64, height: 64, hr_prompt: "another" }, "hr_prompt"],
      [{ restore_faces: true }, "restore_faces"],
      [{ s_min_uncond: 0.5 }, "s_min_uncond"],
      [{ refiner_checkpoint: "other", refiner_switch_at: 0.8 }, "refiner_checkpoint"],
      [{ script_name: "x/y/z plot" }, "script_name"],
      [{ alwayson_scripts: { controlnet: { args: [] } } }, "alwayson_scripts"],
      [{ override_settings: { sd_vae: "other.vae" } }, "sd_vae"],
      [{ prompt: 3 }, "prompt"],
    ] as const
  ) {
    const [status, { detail }] = await post(body);
    assert.deepEqual([status, detail[0].loc], [422, ["body", loc]], JSON.stringify(body));
    assert.match(detail[0].msg, /^Field .* would do$/);
  }
  const nowhere = await server.send("GET", `${api}/nonesuch`);
  assert.deepEqual([nowhere.status, await nowhere.json()], [404, { detail: "Not Found" }]);
  assert.equal((await server.send("GET", `${api}/txt2img`)).status, 405);
  assert.equal(server.engine.jobs.length, 0);
});

Deno.test("progress tells of the job that runs, or of the one asked for, and nothing while idle", async () => {
  using server = serve();
  const progress = async (query = "") => await (await server.send("GET", `${api}/progress${query}`)).json();
  const idle = await progress();
  assert.deepEqual([idle.progress, idle.state.job_count, idle.state.job_timestamp], [0, 0, "0"]);
  assert.deepEqual([idle.eta_relative, idle.current_image], [0, null]);
  const answer = server.send("POST", `${api}/txt2img`, { steps: 4, width: 64, height: 64, force_task_id: "mine" });
  const job = await server.engine.next();
  job.start();
  assert.ok((await progress()).eta_relative >= 1, "as long as the queue, of which nothing is measured");
  await moment(20);
  job.step(1);
  await moment();
  const busy = await progress("?skip_current_image=true");
  assert.deepEqual([busy.progress, busy.state.job_count, busy.state.sampling_step, busy.state.sampling_steps], [
    0.26,
    1,
    1,
    4,
  ]);
  assert.ok(busy.eta_relative > 0.03 && busy.eta_relative < 1, `${busy.eta_relative} s for three steps like the first`);
  assert.equal((await progress("?id=mine")).state.job, "mine");
  assert.equal((await progress("?id=other")).state.job_count, 0);
  job.run();
  await (await answer).json();
  assert.equal((await progress()).state.job_count, 0);
});

Deno.test("interrupt ends the job that runs, or the one named, with an answer without pictures, and no job of another surface", async () => {
  using server = serve();
  const native = server.send("GET", "/generate?prompt=x");
  const first = await server.engine.next();
  assert.deepEqual(await (await server.send("POST", `${api}/interrupt`)).json(), {});
  assert.equal(first.signal.aborted, false);
  const answers = ["a", "b"].map((force_task_id) =>
    server.send("POST", `${api}/txt2img`, { force_task_id, width: 64, height: 64 })
  );
  first.run();
  await (await native).bytes();
  const second = await server.engine.next();
  await server.send("POST", `${api}/interrupt?id=b`);
  assert.deepEqual((await (await answers[1]).json()).images, []);
  assert.equal(second.signal.aborted, false);
  for (let i = 0; i < 2; i++) { // as an impatient client does
    assert.deepEqual(await (await server.send("POST", `${api}/interrupt`)).json(), {});
    assert.equal(second.signal.aborted, true);
  }
  second.cancelled();
  const { images, info } = await (await answers[0]).json();
  assert.deepEqual([images, JSON.parse(info).infotexts], [[], []]);
});

Deno.test("options are told and set as clients do, the whole object posted back, and last for later requests", async () => {
  using server = serve();
  const options = await (await server.send("GET", `${api}/options`)).json();
  assert.equal(options.sd_model_checkpoint, "tiny.safetensors");
  assert.ok("forge_preset" in options);
  const set = await server.send("POST", `${api}/options`, { ...options, randn_source: "CPU", unknown: [1] });
  assert.deepEqual([set.status, await set.json()], [200, null]);
  server.send("POST", `${api}/txt2img`, { width: 64, height: 64 });
  assert.equal((await server.engine.next()).request.rng, "cpu");
  const other = await server.send("POST", `${api}/options`, { sd_model_checkpoint: "other.safetensors [0123456789]" });
  assert.equal(other.status, 404);
});

Deno.test("unload-checkpoint frees the device, reload-checkpoint brings back the model that the options name", async () => {
  using server = serve({ models: () => [{ name: "other", path: "/models/other", modified: 0 }] });
  server.engine.others.set("other", { ...info, model: { ...info.model, name: "other" } });
  const post = async (path: string, body?: unknown) => {
    const response = await server.send("POST", `${api}/${path}`, body);
    return [response.status, await response.json()];
  };
  assert.deepEqual(await post("unload-checkpoint"), [200, {}]);
  assert.deepEqual(await post("reload-checkpoint"), [200, {}]);
  assert.deepEqual(await post("options", { sd_model_checkpoint: "other.safetensors" }), [200, null]);
  assert.deepEqual(await post("reload-checkpoint"), [200, {}]);
  assert.deepEqual(server.engine.moves, ["unload", "load tiny", "load other"]);
  server.engine.status = { state: "loading" };
  for (const path of ["unload-checkpoint", "reload-checkpoint"]) assert.equal((await post(path))[0], 503, path);
});

Deno.test("samples_format jpg or webp answers such a file, also for one request, and png-info reads it", async () => {
  using server = serve();
  for (const [format, start] of [["jpg", [0xff, 0xd8, 0xff]], ["webp", [0x52, 0x49, 0x46]]] as const) {
    const body = { prompt: "caf\u00e9", width: 64, height: 64, override_settings: { samples_format: format } };
    const answer = server.send("POST", `${api}/txt2img`, body);
    (await server.engine.next()).run();
    const { images: [image], info } = await (await answer).json();
    assert.deepEqual([...decodeBase64(image).slice(0, 3)], start);
    const read = await (await server.send("POST", `${api}/png-info`, { image })).json();
    assert.equal(read.info, JSON.parse(info).infotexts[0]);
    assert.equal(read.parameters.Prompt, "caf\u00e9");
  }
  const body = { width: 64, height: 64, override_settings: { samples_format: "avif" } };
  assert.equal((await server.send("POST", `${api}/txt2img`, body)).status, 422);
});

Deno.test("png-info reads what txt2img wrote, whatever the prompt", async () => {
  using server = serve();
  const prompt = "caf\u00e9 \u732b, (a:1.2)\nline two";
  const answer = server.send("POST", `${api}/txt2img`, { prompt, width: 64, height: 64, seed: 8 });
  (await server.engine.next()).run();
  const { images: [image], info } = await (await answer).json();
  for (const sent of [image, `data:image/png;base64,${image}`]) {
    const read = await (await server.send("POST", `${api}/png-info`, { image: sent })).json();
    assert.equal(read.info, JSON.parse(info).infotexts[0]);
    assert.deepEqual(read.items, { parameters: read.info });
    const { parameters } = read;
    assert.deepEqual([parameters.Prompt, parameters.Seed, parameters["Size-1"]], [prompt, "8", "64"]);
  }
  const none = await (await server.send("POST", `${api}/png-info`, { image: encodeBase64("GIF89a") })).json();
  assert.deepEqual(none, { info: "", items: {}, parameters: {} });
});

Deno.test("embeddings lists those that the model's text encoder reads apart from those it does not", async () => {
  const [mine, others] = [{ name: "mine", vectors: 3, width: 4 }, { name: "others", vectors: 1, width: 768 }];
  using server = serve({ embeddings: () => [mine, others] });
  const facts = { step: null, sd_checkpoint: null, sd_checkpoint_name: null };
  assert.deepEqual(await (await server.send("GET", `${api}/embeddings`)).json(), {
    loaded: { mine: { ...facts, shape: 4, vectors: 3 } },
    skipped: { others: { ...facts, shape: 768, vectors: 1 } },
  });
});

Deno.test("memory tells of the machine's and of the device's, as far as it is known", async () => {
  using server = serve();
  const memory = async () => await (await server.send("GET", `${api}/memory`)).json();
  const { ram, cuda } = await memory();
  assert.ok(ram.used > 0 && ram.total > ram.used);
  assert.deepEqual(cuda, {});
  const bytes = { weights: 0, values: 0, state: 0, staging: 0 } as never;
  server.engine.memory = { budget: 100, used: 30, peak: 70, bytes, residents: [], evictions: 2 };
  const { cuda: { system, active, events } } = await memory();
  assert.deepEqual([system, active], [{ free: 70, used: 30, total: 100 }, { current: 30, peak: 70 }]);
  assert.equal(events.retries, 2);
});

Deno.test("settings that no request could be made with are refused when they are set, and change nothing", async () => {
  using server = serve();
  const wrong = { sd_vae: "none.pt", randn_source: "dice", samples_format: "exe", CLIP_stop_at_last_layers: 99 };
  for (const [name, value] of Object.entries({ ...wrong, token_merging_ratio: 2, sd_model_checkpoint: "none" })) {
    const response = await server.send("POST", `${api}/options`, { [name]: value, eta_noise_seed_delta: 31337 });
    assert.equal(response.status, name === "sd_model_checkpoint" ? 404 : 422, name);
    assert.match(await response.text(), new RegExp(`Field ${name} `));
  }
  assert.equal((await (await server.send("GET", `${api}/options`)).json()).eta_noise_seed_delta, 0);
});

Deno.test("settings of one request last where it says that they are not to be restored", async () => {
  using server = serve();
  const rngOf = async (extra: Record<string, unknown>) => {
    server.send("POST", `${api}/txt2img`, { width: 64, height: 64, ...extra }).then((response) => response.json());
    const job = await server.engine.next();
    job.run();
    await moment();
    return job.request.rng;
  };
  const override_settings = { randn_source: "CPU" };
  assert.equal(await rngOf({ override_settings }), "cpu");
  assert.equal(await rngOf({}), "nv");
  assert.equal(await rngOf({ override_settings, override_settings_restore_afterwards: false }), "cpu");
  assert.equal(await rngOf({}), "cpu");
});

Deno.test("every list that clients ask for is there", async () => {
  using server = serve();
  const get = async (path: string) => {
    const response = await server.send("GET", path);
    assert.equal(response.status, 200, path);
    return await response.json();
  };
  const samplers = await get(`${api}/samplers`);
  assert.ok(samplers.find(({ name }: { name: string }) => name === "Euler a").aliases.includes("k_euler_a"));
  assert.ok((await get(`${api}/schedulers`)).some(({ label }: { label: string }) => label === "Karras"));
  assert.equal((await get(`${api}/sd-models`))[0].title, "tiny.safetensors");
  assert.equal((await get(`${api}/upscalers`))[0].name, "None");
  assert.deepEqual(await get(`${api}/scripts`), { txt2img: [], img2img: [] });
  for (const path of ["loras", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "sd-vae"]) {
    assert.deepEqual(await get(`${api}/${path}`), [], path);
  }
  for (const path of ["cmd-flags", "latent-upscale-modes"]) await get(`${api}/${path}`);
  for (const path of ["version", "model_list", "module_list"]) await get(`/controlnet/${path}`);
  for (const path of ["skip", "refresh-checkpoints", "interrupt"]) {
    assert.equal((await server.send("POST", `${api}/${path}`)).status, 200, path);
  }
  assert.deepEqual(server.engine.moves, []);
});
