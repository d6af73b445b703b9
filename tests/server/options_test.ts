import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../src/server/options.ts";

Deno.test("options have defaults, the environment is before them and the command line before that", () => {
  const absent = {
    host: "127.0.0.1",
    port: 8000,
    model: "tiny",
    vae: undefined,
    gpu: undefined,
    queue: 64,
    modelsDir: undefined,
    embeddingsDir: undefined,
    memoryBudget: undefined,
    keepAlive: 300_000,
    apiKeys: [],
    rateLimit: undefined,
    corsOrigins: [],
    openMetrics: false,
  };
  assert.deepEqual(parseOptions([], {}), { ...absent, requireGpu: false });
  const env = {
    HOST: "0.0.0.0",
    PORT: "80",
    MODEL: "a",
    VAE: "/v",
    GPU: "1",
    QUEUE: "2",
    MODELS_DIR: "/m",
    EMBEDDINGS_DIR: "/e",
    MEMORY_BUDGET: "2.5GiB",
    KEEP_ALIVE: "1h30m",
    REQUIRE_GPU: "1",
    API_KEYS: "one, two,",
    RATE_LIMIT: "30",
    CORS_ORIGINS: "https://a.example,http://localhost:3000",
    OPEN_METRICS: "1",
  };
  const told = {
    host: "0.0.0.0",
    port: 80,
    model: "a",
    vae: "/v",
    gpu: "1",
    queue: 2,
    modelsDir: "/m",
    embeddingsDir: "/e",
    memoryBudget: 2.5 * 2 ** 30,
    keepAlive: 5_400_000,
    requireGpu: true,
    apiKeys: ["one", "two"],
    rateLimit: 30,
    corsOrigins: ["https://a.example", "http://localhost:3000"],
    openMetrics: true,
  };
  assert.deepEqual(parseOptions([], env), told);
  assert.deepEqual(parseOptions(["--port", "81", "--gpu=nvidia"], env), { ...told, port: 81, gpu: "nvidia" });
  assert.deepEqual(parseOptions([], { HOST: "", PORT: "" }), { ...absent, requireGpu: false });
});

Deno.test("--help asks for help, whatever else is there", () => {
  assert.equal(parseOptions(["--port", "x", "--help"], {}), undefined);
});

Deno.test("what makes no sense is a UsageError that names the flag or the variable", () => {
  const cases: [args: string[], env: Record<string, string>, message: RegExp][] = [
    [["--port", "65536"], {}, /^Cannot use --port "65536", a whole number from 0 to 65535 would do$/],
    [["--queue", "0"], {}, /^Cannot use --queue "0", a whole number from 1 to 100000 would do$/],
    [[], { PORT: "eighty" }, /^Cannot use PORT "eighty", /],
    [[], { API_KEYS: "x", RATE_LIMIT: "0" }, /^Cannot use RATE_LIMIT "0", a whole number from 1 would do$/],
    [[], { RATE_LIMIT: "3" }, /^Cannot use RATE_LIMIT without API_KEYS, .* would do$/],
    [[], { CORS_ORIGINS: "a.example" }, /^Cannot use CORS_ORIGINS "a.example", an origin like .* would do$/],
    [["--frobnicate"], {}, /^Cannot start: Unknown option '--frobnicate', /],
    [["extra"], {}, /^Cannot start: Unexpected argument 'extra'/],
    [["--port"], {}, /^Cannot start: .*--port/],
    [["--port", "-1"], {}, /^Cannot start: --port is followed by a dash, --port=-1 would do$/],
  ];
  for (const [args, env, message] of cases) {
    assert.throws(() => parseOptions(args, env), (error) => error instanceof UsageError && message.test(error.message));
  }
});
