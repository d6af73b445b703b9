/** The programme as it is started and used: main.ts in a process of its own, spoken to over HTTP. */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { parseInfotext } from "../../src/png/infotext.ts";
import { Programme, residentBytes, root, Server, sleep, until } from "./programme.ts";

const pictures = new URL("../oracle/bad/pictures/", import.meta.url);

const prompt = "prompt=a+red+circle+on+a+blue+background";
const server = await Server.start();
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

Deno.test("a prompt in, a red circle on a blue background out: the same bytes for the same seed, by any client", async () => {
  const file = await Deno.makeTempFile({ suffix: ".png" });
  const args = ["-sS", "-G", `${server.url}/generate`, "--data-urlencode", "prompt=a red circle on a blue background"];
  const curl = await new Deno.Command("curl", { args: [...args, "-d", "seed=1", "-o", file] }).output();
  assert.ok(curl.success, new TextDecoder().decode(curl.stderr));
  const first = await Deno.readFile(file);
  const response = await server.get(`${prompt}&seed=1`);
  assert.deepEqual(await response.bytes(), first);
  assert.equal(response.headers.get("x-seed"), "1");

  const png = decode(first, { checkCrc: true });
  const pixel = (x: number, y: number) => [...png.data.slice((y * png.width + x) * 3, (y * png.width + x) * 3 + 3)];
  const [middle, corner] = [pixel(png.width / 2, png.height / 2), pixel(4, 4)];
  assert.ok(middle[0] > 150 && middle[2] < 100, `the middle is ${middle}`);
  assert.ok(corner[2] > 120 && corner[0] < 100, `the corner is ${corner}`);
  assert.equal(parseInfotext(png.text.parameters).parameters.Seed, "1");

  await using command = new Programme([
    "src/cli/generate.ts",
    "a red circle on a blue background",
    ...["--seed", "1", "-o", file],
  ]);
  assert.equal(await command.exit(), 0, command.errors);
  assert.deepEqual(await Deno.readFile(file), first);
  await Deno.remove(file);
});

Deno.test("curl -F makes a picture from a picture, JPEG and PNG", async () => {
  for (const name of ["ok_exif_6.jpg", "ok_palette_trns.png"]) {
    const path = new URL(name, pictures).pathname;
    const args = ["-sS", "--fail-with-body", "-F", "prompt=a boat", "-F", `init_image=@${path}`, "-F", "strength=0.6"];
    const { success, stdout } = await new Deno.Command("curl", { args: [...args, `${server.url}/generate`] }).output();
    assert.ok(success, new TextDecoder().decode(stdout));
    assert.equal(parseInfotext(decode(stdout).text.parameters).parameters["Denoising strength"], "0.6");
  }
});

Deno.test("/health/live answers at once in the middle of a step", async () => {
  const picture = server.get(`${prompt}&width=320&height=320&steps=3&seed=1`).then(async (response) => {
    await response.body?.cancel();
    return performance.now();
  });
  let ended = Infinity;
  picture.then((at) => ended = at);
  await until(async () => await server.queueLength() === 1);
  const waits: number[] = [];
  while (performance.now() < ended) {
    const began = performance.now();
    assert.equal((await (await fetch(`${server.url}/health/live`)).json()).status, "live");
    waits.push(performance.now() - began);
    await sleep(10);
  }
  await picture;
  waits.sort((a, b) => a - b);
  const [median, worst] = [waits[waits.length >> 1], waits.at(-1)!];
  console.log(`${waits.length} answers, median ${median.toFixed(1)} ms, slowest ${worst.toFixed(1)} ms`);
  assert.ok(waits.length >= 20, `only ${waits.length} answers while the picture was made`);
  assert.ok(median <= 30, `half of the answers took more than ${median} ms`);
});

Deno.test("a client that hangs up frees the GPU within a step or two, whether it waits or runs", async () => {
  const clients = [new AbortController(), new AbortController()];
  const query = `${prompt}&steps=150&width=256&height=256`;
  const answers = Promise.allSettled(clients.map(({ signal }) => server.get(query, { signal })));
  await until(async () => await server.queueLength() === 2);
  await sleep(300);
  clients[1].abort();
  await until(async () => await server.queueLength() === 1);
  clients[0].abort();
  await answers;
  const freedMs = await until(async () => await server.queueLength() === 0);
  assert.ok(freedMs < 3_000, `the job went on for ${freedMs} ms`);
  assert.equal((await (await server.get(prompt)).bytes())[0], 0x89);
  assert.equal(server.errors.includes("failed"), false, server.errors);
});

Deno.test("a burst over the queue is told a time that holds within a factor of two, before any job has ended", async () => {
  await using server = await Server.start("--queue", "4");
  const query = `${prompt}&steps=24`;
  const began = performance.now();
  const accepted = Array.from({ length: 4 }, (_, seed) => server.get(`${query}&seed=${seed}`).then((r) => r.bytes()));
  await until(async () => await server.queueLength() === 4);
  await sleep(800);
  const refused = await server.get(query), told = performance.now();
  assert.equal(refused.status, 429);
  await refused.body?.cancel();
  await Promise.all(accepted);
  const truth = (performance.now() - told) / 1000, estimate = Number(refused.headers.get("retry-after"));
  console.log(`told ${estimate} s, took ${truth.toFixed(1)} s`);
  assert.ok(told - began < 5_000, `the refusal itself took ${told - began} ms`);
  assert.ok(estimate <= 2 * truth + 1 && estimate >= truth / 2, `told ${estimate} s, took ${truth} s`);
});

/** Requests that make no sense, the i-th of any number. */
function malformed(i: number): [path: string, init?: RequestInit] {
  const json = (body: unknown): [string, RequestInit] => ["/generate", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  }];
  const random = encodeURIComponent(crypto.randomUUID());
  const kinds: [string, RequestInit?][] = [
    ["/generate"],
    [`/generate?prompt=x&sampler=${random}`],
    [`/generate?prompt=x&width=${i % 8 || 7}`],
    [`/generate?prompt=x&steps=${i % 2 ? 0 : 1e9}`],
    [`/generate?prompt=${"x".repeat(25_000 + i)}`],
    [`/generate?prompt=x&seed=${random}`],
    [`/${random}`],
    ["/generate?prompt=x", { method: "DELETE" }],
    json(`{"prompt": "${random}`),
    json([i]),
    json({ prompt: { a: i } }),
    json({ prompt: "x", init_image: random }),
    json({ prompt: "x".repeat(100_000) }),
    ["/generate", { method: "POST", headers: { "content-type": "multipart/form-data; boundary=x" }, body: random }],
    ["/generate", { method: "POST", headers: { "content-type": "image/png" }, body: random }],
    json({ prompt: "x", init_image: "A".repeat(300_000) }),
  ];
  return kinds[i % kinds.length];
}

Deno.test({
  name: "400 malformed requests are answered with a sentence each, and leave the server serving and its memory flat",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using server = await Server.start();
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const [path, init] = malformed(i);
        const response = await fetch(server.url + path, init);
        const { error } = await response.json();
        assert.ok(response.status >= 400 && response.status < 500, `${path.slice(0, 60)}: ${response.status}`);
        assert.match(error.message, /^(Field|The body|There is|\/generate does).* (would do|all are .*)$/);
      }
    };
    await send(200); // whatever is loaded once is loaded now
    const before = await residentBytes(server.process.pid);
    await send(200);
    const growth = await residentBytes(server.process.pid) - before;
    console.log(`memory grew by ${(growth / 2 ** 20).toFixed(1)} MiB`);
    assert.ok(growth < 24 << 20, `memory grew by ${growth >> 20} MiB`);
    assert.equal((await (await server.get(prompt)).bytes())[0], 0x89);
    assert.equal(await server.queueLength(), 0);
    assert.equal(server.errors.includes("failed"), false, server.errors);
  },
});

Deno.test("paths are those of the folder in which a task is called: the picture's, the first picture's and the model's", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/models`);
  await Deno.symlink(new URL("weights/tiny", root), `${folder}/models/mine`);
  await Deno.copyFile(new URL("ok_420.jpg", pictures), `${folder}/in.jpg`);
  const { INIT_CWD: _, ...env } = Deno.env.toObject();
  const run = async (...args: string[]) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "--config", new URL("deno.json", root).pathname, ...args],
      cwd: folder,
      env,
      clearEnv: true,
    }).output();
    return { code, errors: new TextDecoder().decode(stderr) };
  };
  const made = await run(
    "generate",
    "x",
    "--steps",
    "2",
    "--init-image",
    "in.jpg",
    "--model",
    "models/mine",
    "-o",
    "out.png",
  );
  assert.equal(made.code, 0, made.errors);
  const picture = decode(await Deno.readFile(`${folder}/out.png`));
  assert.equal(parseInfotext(picture.text.parameters).parameters.Model, "mine");
  const beside = await run("generate", "x", "-o", "models");
  assert.deepEqual(
    [beside.code, beside.errors.includes("Cannot write models: it is a folder, ")],
    [2, true],
    beside.errors,
  );
  for (const task of ["serve", "bench"]) {
    const missing = await run(task, "--model", "./absent");
    assert.ok(missing.errors.includes(`${folder}/absent`), missing.errors);
  }
  const compared = await run("parity", "absent");
  assert.ok(compared.errors.includes(`${folder}/absent`), compared.errors);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what cannot be started says why in one sentence: 2 for a wrong command line, 1 for the rest", async () => {
  const holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = `${(holder.addr as Deno.NetAddr).port}`;
  const cases: [args: string[], code: number, sentence: RegExp][] = [
    [
      ["main.ts", "--port", port],
      1,
      /^Cannot listen on 127\.0\.0\.1:\d+: the port is in use, another --port .* would do\n$/,
    ],
    [
      ["main.ts", "--frobnicate"],
      2,
      /^Cannot start: there is no option --frobnicate, --\S+ would do; --help lists all\n$/,
    ],
    [["main.ts", "--port", "x"], 2, /^Cannot use --port "x", a whole number from 0 to 65535 would do\n$/],
    [["main.ts", "--model", "nonesuch"], 1, /^Cannot find a model "nonesuch", .* would do: tiny\n$/],
    [["src/cli/generate.ts"], 2, /^Cannot make a picture of 0 prompts, one in quotes would do\n$/],
    [["src/cli/generate.ts", "x", "-o", "/nonesuch/out.png"], 2, /^Cannot write \/nonesuch\/out\.png: /],
    [["src/cli/generate.ts", "x", "-o", "/tmp"], 2, /^Cannot write \/tmp: it is a folder, .* would do\n$/],
    [["src/cli/generate.ts", "x", "-o", "/tmp/nonesuch/"], 2, /^Cannot write \/tmp\/nonesuch\/: it is a folder, /],
    [
      ["src/cli/generate.ts", "x", "--seed", "-1"],
      2,
      /^Cannot start: --seed is followed by a dash, --seed=-1 would do\n$/,
    ],
    [
      ["src/cli/generate.ts", "x", "-o", "--seed"],
      2,
      /^Cannot start: -o is followed by a dash, -o--seed would do\n$/,
    ],
    [["src/cli/bench.ts", "--frobnicate"], 2, /^Cannot start: there is no option --frobnicate, /],
    [["src/cli/bench.ts", "--model", "nonesuch"], 2, /^Cannot find a model "nonesuch", .* would do: tiny\n$/],
    [["src/cli/bench.ts", "--runs", "0"], 2, /^Cannot use --runs "0", a whole number from 1 would do\n$/],
    [["src/cli/parity.ts", "--frobnicate"], 2, /^Cannot start: there is no option --frobnicate, /],
    [["src/cli/parity.ts", "--dtype", "f8"], 2, /^Cannot use --dtype "f8", f32 or f16 would do\n$/],
  ];
  for (const [args, code, sentence] of cases) {
    await using programme = new Programme(args);
    assert.equal(await programme.exit(), code, programme.errors);
    assert.match(programme.errors.replace(/^error: XDG_RUNTIME_DIR.*\n/gm, ""), sentence);
  }
  holder.close();
});
