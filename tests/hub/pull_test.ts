import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { chooseWeights } from "../../src/checkpoint/folder.ts";
import { openModel } from "../../src/checkpoint/model.ts";
import { listModels } from "../../src/engine/locate.ts";
import { type Faults, refusal, type Seen } from "./fake_hub.ts";
import { filesIn, needed, noise, published, text, unet, unetHalf, withHub } from "./published.ts";

Deno.test("a model folder arrives with what a pipeline needs and nothing else, and opens", async () => {
  await withHub({}, async ({ hub, modelsDir, pull }) => {
    const shares: number[] = [];
    const path = await pull({ observe: ({ done, total }) => shares.push(done / total) });
    strictEqual(path, join(modelsDir, "name"));
    deepStrictEqual(filesIn(path), needed.toSorted());
    for (const file of needed) deepStrictEqual(Deno.readFileSync(join(path, file)), published[file], file);
    strictEqual(openModel(path).component("unet").config.in_channels, 4);
    strictEqual(shares.at(-1), 1);
    ok(shares.length > 50 && shares.every((share, i) => share >= (shares[i - 1] ?? 0)));
    ok(hub.requests.every(({ path }) => !path.includes("/main/")), "all files are of one commit");
    deepStrictEqual(filesIn(join(modelsDir, ".pull")), []);
    await rejects(
      pull(),
      /^HubError: Cannot pull owner\/name: .*\/name is there already, removing it or another --as would/,
    );
    strictEqual(await pull({ as: "other" }), join(modelsDir, "other"));
  });
});

Deno.test("full precision takes the plain weights, and an index brings its shards", async () => {
  const index = `${unet}.safetensors.index.json`, weight_map = { a: "s-1.safetensors", b: "s-2.safetensors" };
  const { [unetHalf]: _half, [`${unet}.safetensors`]: _plain, ...rest } = published;
  const sharded = {
    ...rest,
    [index]: text(JSON.stringify({ weight_map })),
    "unet/s-1.safetensors": noise(500, 1),
    "unet/s-2.safetensors": noise(600, 2),
    "unet/s-3.safetensors": noise(700, 3),
  };
  await withHub({}, async ({ pull }) => {
    const path = await pull({ weights: (names) => chooseWeights(names, "f32") });
    deepStrictEqual(filesIn(join(path, "unet")), [
      "config.json",
      "diffusion_pytorch_model.safetensors.index.json",
      "s-1.safetensors",
      "s-2.safetensors",
    ]);
    deepStrictEqual(filesIn(join(path, "text_encoder")), ["config.json", "model.safetensors"]);
  }, sharded);
});

Deno.test("a single file arrives with what stands beside it under its name", async () => {
  const beside = {
    ...published,
    "deep/a.safetensors": noise(9000, 1),
    "deep/a.yaml": text("model: {}"),
    "deep/b.yaml": text(""),
  };
  await withHub({}, async ({ modelsDir, pull }) => {
    strictEqual(await pull({ name: "owner/name/deep/a.safetensors" }), join(modelsDir, "a.safetensors"));
    strictEqual(await pull({ name: "owner/name/deep/a.safetensors", as: "it" }), join(modelsDir, "it.safetensors"));
    deepStrictEqual(filesIn(modelsDir), ["a.safetensors", "a.yaml", "it.safetensors", "it.yaml"]);
    await rejects(
      pull({ name: "owner/name/v1-5-pruned.ckpt" }),
      /v1-5-pruned\.ckpt is a pickle, which can run code when loaded; owner\/name\/v1-5-pruned\.safetensors would do$/,
    );
    await rejects(pull({ name: "owner/name/x.safetensors" }), /it has no file x\.safetensors, owner\/name\/v1-5-pr/);
  }, beside);
});

Deno.test("a connection that breaks goes on where it stopped, and half a download is never listed", async () => {
  let cuts = 0, listed: string[] | undefined;
  const bytes = published[unetHalf];
  const faults: Faults = { cutAfter: ({ path }) => path.endsWith(unetHalf) && cuts++ < 5 ? 500_000 : undefined };
  await withHub(faults, async ({ hub, modelsDir, pull }) => {
    const path = await pull({
      observe({ done, total }) {
        if (done > total / 2) listed ??= listModels({ modelsDir }).map(({ name }) => name);
      },
    });
    deepStrictEqual(Deno.readFileSync(join(path, unetHalf)), bytes);
    const starts = hub.of("cdn", unetHalf).map(({ range }) => Number(range?.match(/\d+/)?.[0] ?? 0));
    strictEqual(starts.length, 6);
    ok(starts.every((start, i) => start === 0 ? i === 0 : start > starts[i - 1]), `${starts}`);
    ok(hub.of("cdn", unetHalf).slice(1).every(({ ifRange }) => ifRange === `"${unetHalf}-1"`));
    deepStrictEqual(listed, ["tiny"]);
    deepStrictEqual(listModels({ modelsDir }).map(({ name }) => name), ["name", "tiny"]);
  });
});

Deno.test("tries that bring nothing end, and the next call goes on with what earlier ones brought", async () => {
  let cut = true;
  const faults: Faults = {
    cutAfter: ({ path }) => cut && path.endsWith(unetHalf) ? 200_000 : undefined,
    answer: ({ path, range }) => cut && range && path.endsWith(unetHalf) ? refusal(503) : undefined,
  };
  await withHub(faults, async ({ hub, modelsDir, pull }) => {
    await rejects(pull(), {
      name: "HubError",
      message: `Cannot pull ${unetHalf} of owner/name: ${hub.endpoint} answers with status 503, ` +
        "the same command later goes on where this one stopped",
    });
    deepStrictEqual(listModels({ modelsDir }).map(({ name }) => name), ["tiny"]);
    const kept = Deno.statSync(join(modelsDir, ".pull", "owner--name", `${unetHalf}.partial`)).size;
    ok(kept > 0 && kept <= 200_000);
    cut = false;
    hub.requests.length = 0;
    const path = await pull();
    deepStrictEqual(Deno.readFileSync(join(path, unetHalf)), published[unetHalf]);
    deepStrictEqual(hub.of("cdn", unetHalf).map(({ range }) => range), [`bytes=${kept}-`]);
    deepStrictEqual(hub.of("cdn", "text_encoder/model.fp16.safetensors"), [], "what was whole is not brought again");
    deepStrictEqual(filesIn(path), needed.toSorted());
  });
});

Deno.test("a file that has changed on the server, or was damaged on the disk, begins anew", async () => {
  let cut = true;
  const faults: Faults = {
    cutAfter: ({ path }) => cut && path.endsWith(unetHalf) ? 200_000 : undefined,
    answer: ({ path, range }) => cut && range && path.endsWith(unetHalf) ? refusal(503) : undefined,
  };
  for (const damage of ["server", "disk"]) {
    cut = true;
    await withHub(faults, async ({ hub, modelsDir, pull }) => {
      await rejects(pull(), /status 503/);
      cut = false;
      hub.requests.length = 0;
      const partial = join(modelsDir, ".pull", "owner--name", `${unetHalf}.partial`);
      if (damage === "server") hub.version = "2"; // If-Range no longer holds: the server sends all of it
      else Deno.writeFileSync(partial, Deno.readFileSync(partial).fill(0, 0, 10));
      const path = await pull();
      deepStrictEqual(Deno.readFileSync(join(path, unetHalf)), published[unetHalf]);
      deepStrictEqual(
        hub.of("cdn", unetHalf).map(({ range }) => range === null),
        damage === "server" ? [false] : [false, true],
      );
    });
  }
});

Deno.test("bytes with another checksum than the hub says are thrown away", async () => {
  await withHub({ damaged: [unetHalf] }, async ({ modelsDir, pull }) => {
    await rejects(pull(), {
      name: "HubError",
      message: `Cannot pull owner/name: ${unetHalf} arrived with another checksum than the hub says, try it later`,
    });
    ok(!filesIn(modelsDir).some((path) => path.includes("fp16.safetensors.partial") || path.endsWith(unetHalf)));
  });
  const small = "unet/config.json";
  const answer = ({ path }: Seen) => path.endsWith(small) ? new Response("{}") : undefined;
  await withHub({ answer }, async ({ pull }) => {
    await rejects(
      pull(),
      /^HubError: Cannot pull unet\/config\.json of owner\/name: the connection ended early, the same/,
    );
  });
});

Deno.test("a server that asks to wait is waited for, and one that falls silent is asked again", async () => {
  let busy = true, silent = true, began = 0;
  const answer = ({ host, path }: Seen): Response | undefined => {
    if (path.includes("/tree/") && busy) {
      busy = false;
      began = performance.now();
      return new Response(null, { status: 429, headers: { "retry-after": "1" } });
    }
    if (path.includes("/tree/") && began > 0) {
      ok(performance.now() - began >= 990);
      began = 0;
    }
    if (host === "cdn" && path.endsWith(unetHalf) && silent) {
      silent = false;
      return new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(published[unetHalf].slice(0, 9)) }),
      );
    }
  };
  await withHub({ answer }, async ({ hub, pull }) => {
    const path = await pull({ patience: { pauses: [0, 0], stallMs: 300 } });
    deepStrictEqual(Deno.readFileSync(join(path, unetHalf)), published[unetHalf]);
    deepStrictEqual(hub.of("cdn", unetHalf).map(({ range }) => range), [null, "bytes=9-"]);
  });
});

Deno.test("a model is pulled by one process at a time", async () => {
  await withHub({}, async ({ pull }) => {
    const outcomes = await Promise.allSettled([pull(), pull()]);
    const failed = outcomes.filter((outcome) => outcome.status === "rejected");
    strictEqual(failed.length, 1);
    match(`${failed[0].reason}`, /another process is pulling it, waiting for its end would do$/);
  });
});

Deno.test("deno task pull, killed and given again, goes on with the permissions that the task has", async () => {
  let slow = true;
  const faults: Faults = {
    async answer({ host, path }) {
      if (slow && host === "cdn" && path.endsWith(unetHalf)) {
        await Promise.resolve();
        return new Response(
          new ReadableStream({ start: (controller) => controller.enqueue(published[unetHalf].slice(0, 1e6)) }),
        );
      }
    },
  };
  await withHub(faults, async ({ hub, modelsDir }) => {
    // The task's own words, without the shell of `deno task`, which a signal would not pass.
    const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)));
    const [deno, ...task] = (tasks.pull as string).split(" ");
    strictEqual(deno, "deno");
    const command = (...args: string[]) =>
      new Deno.Command(Deno.execPath(), {
        args: [...task, ...args],
        cwd: new URL("../..", import.meta.url),
        env: { HF_ENDPOINT: hub.endpoint, MODELS_DIR: modelsDir, HF_TOKEN: "secret", NO_COLOR: "1" },
        stdout: "piped",
        stderr: "piped",
      });
    const partial = join(modelsDir, ".pull", "owner--name", `${unetHalf}.partial`);
    const first = command("owner/name").spawn();
    while ((await Deno.stat(partial).catch(() => undefined))?.size !== 1e6) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    first.kill("SIGKILL");
    await first.output();
    slow = false;
    const { code, stdout, stderr } = await command("owner/name").output(), said = new TextDecoder().decode(stderr);
    strictEqual(code, 0, said);
    strictEqual(new TextDecoder().decode(stdout), `${join(modelsDir, "name")}\n`);
    match(said, /^100 % of 13\.\d MB, [\d.]+ [kM]B\/s, 0 s left, vae\/diffusion_pytorch_model\.safetensors$/m);
    deepStrictEqual(filesIn(join(modelsDir, "name")), needed.toSorted());
    strictEqual(hub.of("cdn", unetHalf).at(-1)!.range, "bytes=1000000-");

    const failed = await command("owner/name", "--revision", "v9", "--as", "x").output();
    strictEqual(failed.code, 1);
    match(new TextDecoder().decode(failed.stderr), /^Cannot pull owner\/name: it has no revision "v9", .* would do\n$/);
    const wrong = await command("--as").output();
    strictEqual(wrong.code, 2);
  });
});
