import assert from "node:assert/strict";
import { help, parseOptions, settings, UsageError, variables } from "../../src/server/options.ts";
import { read } from "../files.ts";

Deno.test("options have defaults, the environment is before them and the command line before that", () => {
  const absent = {
    allowImageUrls: false,
    host: "127.0.0.1",
    port: 8000,
    publicUrl: undefined,
    model: "tiny",
    vae: undefined,
    gpu: undefined,
    queue: 64,
    batch: 8,
    modelsDir: undefined,
    embeddingsDir: undefined,
    precision: "auto",
    memoryBudget: undefined,
    keepAlive: 300_000,
    apiKeys: [],
    rateLimit: undefined,
    corsOrigins: [],
    openMetrics: false,
    requireGpu: false,
    drainTimeout: 600_000,
    gpuTimeout: 120_000,
    logFormat: "text",
    logLevel: "info",
    logPrompts: false,
  };
  assert.deepEqual(parseOptions([], {}), absent);
  const env = {
    HOST: "0.0.0.0",
    PORT: "80",
    PUBLIC_URL: "https://pictures.example/sd/",
    MODEL: "a",
    VAE: "/v",
    GPU: "1",
    QUEUE: "2",
    BATCH: "1",
    MODELS_DIR: "/m",
    EMBEDDINGS_DIR: "/e",
    PRECISION: "f16",
    MEMORY_BUDGET: "2.5GiB",
    KEEP_ALIVE: "1h30m",
    REQUIRE_GPU: "1",
    API_KEYS: "one, two,",
    RATE_LIMIT: "30",
    CORS_ORIGINS: "https://a.example,http://localhost:3000",
    OPEN_METRICS: "1",
    DRAIN_TIMEOUT: "-1",
    GPU_TIMEOUT: "30s",
    LOG_FORMAT: "json",
    LOG_LEVEL: "warn",
    LOG_PROMPTS: "true",
    ALLOW_IMAGE_URLS: "1",
  };
  const told = {
    host: "0.0.0.0",
    port: 80,
    publicUrl: "https://pictures.example/sd",
    model: "a",
    vae: "/v",
    gpu: "1",
    queue: 2,
    batch: 1,
    modelsDir: "/m",
    embeddingsDir: "/e",
    precision: "f16",
    memoryBudget: 2.5 * 2 ** 30,
    keepAlive: 5_400_000,
    requireGpu: true,
    apiKeys: ["one", "two"],
    rateLimit: 30,
    corsOrigins: ["https://a.example", "http://localhost:3000"],
    openMetrics: true,
    drainTimeout: Infinity,
    gpuTimeout: 30_000,
    logFormat: "json",
    logLevel: "warn",
    logPrompts: true,
    allowImageUrls: true,
  };
  assert.deepEqual(parseOptions([], env), told);
  assert.deepEqual(parseOptions(["--port", "81", "--gpu=nvidia"], env), { ...told, port: 81, gpu: "nvidia" });
  assert.deepEqual(parseOptions(["--require-gpu"], {}), { ...absent, requireGpu: true });
  assert.deepEqual(parseOptions([], { HOST: "", PORT: "", REQUIRE_GPU: "0" }), absent);
});

Deno.test("--help asks for help, whatever else is there", () => {
  assert.equal(parseOptions(["--port", "x", "--help"], {}), undefined);
});

Deno.test("what makes no sense is a UsageError that names the flag or the variable", () => {
  const cases: [args: string[], env: Record<string, string>, message: RegExp][] = [
    [["--port", "65536"], {}, /^Cannot use --port "65536", a whole number from 0 to 65535 would do$/],
    [
      ["--gpu-timeout", "500ms"],
      {},
      /^Cannot use --gpu-timeout "500ms", a time like 5m, 30s, from 1s on, or -1 .* would do$/,
    ],
    ...["pictures.example", "ftp://a.example", "https://a:b@c.example", "https://a.example/?b", "https://a.example/#b"]
      .map(
        (
          url,
        ): (typeof cases)[number] => [
          ["--public-url", url],
          {},
          /^Cannot use --public-url ".*", an address like .* would do$/,
        ],
      ),
    [["--queue", "0"], {}, /^Cannot use --queue "0", a whole number from 1 to 100000 would do$/],
    [[], { PORT: "eighty" }, /^Cannot use PORT "eighty", /],
    [[], { API_KEYS: "x", RATE_LIMIT: "0" }, /^Cannot use RATE_LIMIT "0", a whole number from 1 to \d+ would do$/],
    [[], { RATE_LIMIT: "3" }, /^Cannot use RATE_LIMIT without API_KEYS, .* would do$/],
    [[], { CORS_ORIGINS: "a.example" }, /^Cannot use CORS_ORIGINS "a.example", an origin like .* would do$/],
    [[], { REQUIRE_GPU: "yes" }, /^Cannot use REQUIRE_GPU "yes", 1 or 0 would do$/],
    [["--log-format", "xml"], {}, /^Cannot use --log-format "xml", text or json would do$/],
    [[], { LOG_LEVEL: "loud" }, /^Cannot use LOG_LEVEL "loud", debug or info or warn or error would do$/],
    [["--drain-timeout", "soon"], {}, /^Cannot use --drain-timeout "soon", a time like 5m, .* would do$/],
    [
      ["--model-dir", "x"],
      {},
      /^Cannot start: there is no option --model-dir, --models-dir would do; --help lists all$/,
    ],
    [["--api-keys", "x"], {}, /^Cannot start: there is no option --api-keys, /],
    [["extra"], {}, /^Cannot start: Unexpected argument 'extra'/],
    [["--port"], {}, /^Cannot start: .*--port/],
    [["--port", "-1"], {}, /^Cannot start: --port is followed by a dash, --port=-1 would do$/],
  ];
  for (const [args, env, message] of cases) {
    assert.throws(() => parseOptions(args, env), (error) => error instanceof UsageError && message.test(error.message));
  }
});

Deno.test("--help and the README list every setting with its default, and deno.json lets the server read its variable", () => {
  const readme = read("README.md"), { tasks } = JSON.parse(read("deno.json"));
  const readable = /--allow-env=(\S+)/.exec(tasks.serve)![1].split(",");
  const others = ["INIT_CWD", "DENO_WEBGPU_BACKEND", "LP_NATIVE_VECTOR_WIDTH"];
  const listed = help.replace(/\n {10,}/g, " ");
  assert.ok(help.split("\n").every((line) => line.length <= 120));
  assert.deepEqual(readable.toSorted(), [...variables, ...others].toSorted());
  for (const [i, [name, { secret = false, help: line, shown = "" }]] of Object.entries(settings as Told).entries()) {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    assert.match(listed, new RegExp(`^  ${secret ? variables[i] : flag}\\b.*${shown ? `\\[${shown}\\]$` : "$"}`, "m"));
    const row = `| ${secret ? "" : `\`${flag}\` `}| \`${variables[i]}\` |`;
    const said = readme.split("\n").find((line) => line.startsWith(row)) ?? assert.fail(`no row ${row}`);
    assert.ok(said.endsWith(` | ${line} |`), `${said}\nshould say: ${line}`);
    assert.equal(said.slice(row.length, -`| ${line} |`.length).trim().replaceAll("`", ""), shown);
  }
});

type Told = Record<string, { secret?: boolean; help: string; shown?: string }>;
