import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { compete, type Contestant } from "../../src/cli/bench/contestant.ts";
import { median } from "../../src/cli/bench/measure.ts";
import { measureRoofline, runPart } from "../../src/cli/bench/roofline.ts";
import { readLog } from "../../src/cli/bench/sdcpp.ts";
import { openDevice } from "../../src/gpu/device.ts";

Deno.test("contestants alternate, and a first round is counted only of those that need none", async () => {
  const order: string[] = [];
  const contestant = (name: string, warmsUp: boolean): Contestant => ({
    name,
    warmsUp,
    round(side) {
      order.push(`${name}${side}`);
      return Promise.resolve({ step: order.length, decode: name === "b" ? undefined : 1 });
    },
    load: () => Promise.resolve(0),
    close() {},
  });
  const all = [contestant("a", true), contestant("b", false), contestant("c", true)];
  const { times, first } = await compete(all, { side: 64, runs: 2, wanted: ["step", "decode"] });
  deepStrictEqual(order, ["a64", "c64", "a64", "b64", "c64", "a64", "b64", "c64"]);
  deepStrictEqual(all.map((each) => times.get(each)!.step), [[3, 6], [4, 7], [5, 8]]);
  deepStrictEqual(all.map((each) => times.get(each)!.decode), [[1, 1], [], [1, 1]]);
  deepStrictEqual(all.map((each) => first.get(each)?.step), [1, undefined, 2]);
  strictEqual(median([3, 1, 2]), 2);
});

Deno.test("what stable-diffusion.cpp logs is read in milliseconds, a step as the mean of two", () => {
  const log = `[INFO ] model.cpp:993  - loading tensors completed, taking 1.51s (process: 0.00s, read: 0.40s)
[INFO ] stable-diffusion.cpp:3106 - encode_first_stage completed, taking 8.25s
[INFO ] stable-diffusion.cpp:3168 - get_learned_condition completed, taking 712 ms
[INFO ] stable-diffusion.cpp:3432 - sampling completed, taking 8.50s
[INFO ] stable-diffusion.cpp:3450 - generating 1 latent images completed, taking 8.51s
[INFO ] stable-diffusion.cpp:3212 - decode_first_stage completed, taking 12.00s`;
  deepStrictEqual(readLog(log), { load: 1510, text: 712, encode: 8250, step: 4250, decode: 12000 });
  deepStrictEqual(readLog("error"), {});
});

Deno.test("the roofline's kernel computes what its operations are counted for, and copies what it is given", async () => {
  using device = await openDevice();
  const values = Float32Array.from({ length: 4 * 100 }, (_, i) => i / 400), m = 0.999, c = 0.001, { fround } = Math;
  const { result, ms } = await runPart(device, 0, values, { runs: 1, m, c });
  ok(ms > 0);
  for (const [i, start] of values.entries()) {
    const a = Array.from({ length: 6 }, (_, k) => start + k * c);
    for (let round = 0; round < 512; round++) for (const k of a.keys()) a[k] = a[k] * fround(m) + fround(c);
    const sum = a.reduce((sum, value) => sum + value, 0);
    ok(Math.abs(result[i] - sum) < 1e-4 * sum, `${i}: ${result[i]} instead of ${sum}`);
  }
  deepStrictEqual((await runPart(device, 1, values, { runs: 1, m, c })).result, values);
  const { gflops, gbytes } = await measureRoofline(device);
  ok(gflops > 1 && gbytes > 0.1, `${gflops} GFLOP/s, ${gbytes} GB/s`);
});

Deno.test("bench says in one sentence what it cannot do", async () => {
  const root = new URL("../../", import.meta.url);
  const cases: [args: string[], message: RegExp][] = [
    [["--full", "--sizes", "100"], /^Cannot use --sizes "100", multiples of 64 like 256,512 would do$/],
    [["--full", "--precision", "f8"], /^Cannot use --precision "f8", f32 or f16 would do$/],
    [
      ["--full", "--only", "loop"],
      /^Cannot use --only "loop", text, step, decode, encode, merging, load, first, live would do$/,
    ],
    [["--only", "step"], /^Cannot use --only "step", first, pictures, loop, live, load would do$/],
    [
      ["--agreement", "--sizes", "512,96x64"],
      /^Cannot use --sizes "512,96x64", multiples of 64 like 768x512,1024 would do$/,
    ],
    [["--agreement", "--only", "text"], /^Cannot use --only "text", encode, step, decode would do$/],
    [["--full", "--runs", "0"], /^Cannot use --runs "0", a whole number from 1 would do$/],
    [["--peer", "sdcpp=x"], /^Cannot use --peer without --full, --full --peer sdcpp=x would do$/],
    [["--full", "--peer", "torch"], /^Cannot use --peer "torch", diffusers=VENV or sdcpp=PATH would do$/],
  ];
  for (const [args, message] of cases) {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "src/cli/bench.ts", ...args],
      cwd: root,
      env: { NO_COLOR: "1" },
    });
    const { code, stderr } = await command.output();
    match(new TextDecoder().decode(stderr).trim(), message);
    strictEqual(code, 2);
  }
});
