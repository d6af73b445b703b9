import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { statfsSync } from "node:fs";
import { join } from "node:path";
import { listModels } from "../../src/engine/locate.ts";
import { Hub } from "../../src/hub/client.ts";
import { pull } from "../../src/hub/pull.ts";
import { refusal, type Seen } from "./fake_hub.ts";
import { type Bench, filesIn, hasty, needed, noise, published, text, unetHalf, withHub } from "./published.ts";

Deno.test("the token goes to the endpoint and to no other host", async () => {
  await withHub({}, async ({ hub, pull }) => {
    await pull({ token: "secret" });
    for (const { host, path, authorization } of hub.requests) {
      strictEqual(authorization, host === "hub" ? "Bearer secret" : null, path);
    }
    ok(hub.requests.some(({ host }) => host === "cdn"));
  });
  await withHub({}, async ({ hub, pull }) => {
    await pull();
    ok(hub.requests.every(({ authorization }) => authorization === null));
  });
});

Deno.test("what the hub refuses is one sentence that says what would do", async () => {
  const cases: [
    answer: (seen: Seen) => Response | undefined,
    options: Parameters<Bench["pull"]>[0],
    message: RegExp,
  ][] = [
    [
      () => refusal(401, "RepoNotFound"),
      {},
      /there is no such model at http.*, another name, or HF_TOKEN for a private one,/,
    ],
    [
      () => refusal(401),
      { token: "x" },
      /there is no such model, or the account of HF_TOKEN may not see it, another name/,
    ],
    [() => refusal(404, "RepoNotFound"), { token: "x" }, /there is no such model at http.*, another name would do$/],
    [
      ({ path }) => path.includes("/resolve/") ? refusal(401, "GatedRepo") : undefined,
      {},
      /its owner lets in only whom .*http.*\/owner\/name and pulling again with that account's HF_TOKEN would do$/,
    ],
    [
      ({ path }) => path.includes("/resolve/") ? refusal(403, "GatedRepo") : undefined,
      { token: "x" },
      /the account of HF_TOKEN is not let in, agreeing to/,
    ],
    [() => undefined, { revision: "v9" }, /it has no revision "v9", a branch, tag or commit would do$/],
    [
      ({ path }) => path.endsWith(unetHalf) ? refusal(404, "EntryNotFound") : undefined,
      {},
      /it has no file unet\/diff/,
    ],
    [() => refusal(400), {}, /answers with status 400, trying later would do$/],
    [() => refusal(500), {}, /answers with status 500, the same command later goes on where this one stopped$/],
  ];
  for (const [answer, options, message] of cases) {
    await withHub({ answer }, async ({ modelsDir, pull }) => {
      await rejects(pull(options), (error: Error) => {
        strictEqual(error.name, "HubError");
        match(error.message, message);
        match(error.message, /^Cannot pull [^\n]*[^.]$/);
        return true;
      });
      deepStrictEqual(listModels({ modelsDir }).map(({ name }) => name), ["tiny"]);
    });
  }
  await rejects(
    pull({
      hub: new Hub({ endpoint: "http://127.0.0.1:1" }),
      name: "owner/name",
      modelsDir: "/none",
      weights: () => undefined,
      patience: hasty,
    }),
    /^HubError: Cannot pull owner\/name: http:\/\/127\.0\.0\.1:1 cannot be reached: .*, the same command later/,
  );
  for (const endpoint of ["huggingface", "file:///etc"]) {
    await rejects(async () => await new Hub({ endpoint }).open("a/b", "main"), /^HubError: Cannot use HF_ENDPOINT/);
  }
});

Deno.test("names that lead out of the folder are refused", async () => {
  for (const name of ["name", "owner/..", "../name", "owner/name/", "a b/c", ""]) {
    await withHub({}, async ({ pull }) => {
      await rejects(
        pull({ name }),
        /^HubError: Cannot pull .*, owner\/name or owner\/name\/file\.safetensors would do$/,
      );
    });
  }
  await withHub({}, async ({ pull }) => {
    await rejects(pull({ as: "../x" }), /^HubError: Cannot call a model "\.\.\/x", --as with letters/);
  });
  const index = (parts: object) => ({ "model_index.json": text(JSON.stringify(parts)) });
  const evil = { ...index({ "..": ["x", "Y"] }), "../config.json": text("{}") };
  await withHub({}, async ({ pull }) => {
    await rejects(pull(), /its file "\.\.\/config\.json" has no name that can be written$/);
  }, evil);
  const { "model_index.json": _index, ...loose } = published;
  await withHub({}, async ({ pull }) => {
    await rejects(pull(), /it has no model_index\.json, owner\/name\/v1-5-pruned\.safetensors would do$/);
  }, loose);
  await withHub({}, async ({ pull }) => {
    await rejects(pull(), /its unet is only there as a\.bin, a model in safetensors would do$/);
  }, { ...index({ unet: ["d", "U"] }), "unet/a.bin": noise(9, 1) });
  await withHub({}, async ({ pull }) => {
    await rejects(pull(), /its model_index\.json lists unet, which is not there; another model would do$/);
  }, index({ unet: ["d", "U"] }));
});

Deno.test("a model that has no room is refused before its files are asked for", async () => {
  await withHub({ sizes: { [unetHalf]: 1e18 } }, async ({ hub, modelsDir, pull }) => {
    await rejects(pull(), (error: Error) => {
      match(
        error.message,
        /: 1000000\d+\.\d\d GB are to come and the disk has room for [\d.]+ [kMG]B, making room or another/,
      );
      return true;
    });
    deepStrictEqual(hub.requests.filter(({ host }) => host === "cdn"), []);
    deepStrictEqual(listModels({ modelsDir }).map(({ name }) => name), ["tiny"]);
  });
});

Deno.test("a disk that fills up under way is a sentence, and the same command goes on once there is room", async () => {
  const disk = Deno.makeTempDirSync();
  const mount = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=16m", "none", disk],
    stderr: "null",
  })
    .output().catch(() => ({ success: false }));
  if (!mount.success) {
    Deno.removeSync(disk);
    return console.log("  (no small disk can be mounted here: skipped)");
  }
  try {
    const filler = join(disk, "filler");
    const answer = ({ host, path }: Seen) => {
      if (host === "cdn" && path.endsWith(unetHalf)) {
        const { bavail, bsize } = statfsSync(disk);
        Deno.writeFileSync(filler, new Uint8Array(bavail * bsize - 1_000_000));
      }
      return undefined;
    };
    await withHub({ answer }, async ({ hub, pull }) => {
      await rejects(
        pull({ modelsDir: disk }),
        /: the disk is full after [\d.]+ [kM]B of unet\/diff.*, making room and the/,
      );
      Deno.removeSync(filler);
      hub.faults = {};
      const path = await pull({ modelsDir: disk });
      deepStrictEqual(filesIn(path), needed.toSorted());
      ok(hub.of("cdn", unetHalf).at(-1)!.range !== null);
    });
  } finally {
    await new Deno.Command("umount", { args: [disk] }).output();
    Deno.removeSync(disk);
  }
});
