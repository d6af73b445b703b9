/**
 * Thousands of requests that schemathesis makes up from `/openapi.json`, right and wrong ones, against a real server on the
 * embedded model: `deno task test:fuzz`. None may be answered with a status of 5xx, nor otherwise than the document says.
 * It is put into `.cache/clients` first, which needs a network, Python and npm.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Server } from "../server/programme.ts";

const here = fileURLToPath(new URL("./", import.meta.url));
const folder = Deno.env.get("CLIENTS") ?? fileURLToPath(new URL("../../.cache/clients", import.meta.url));
const seed = Deno.env.get("FUZZ_SEED") ?? "1";

/**
 * Not all that the schemas of single fields allow goes together, and null as well as numbers as text is taken for what is
 * meant: schemathesis's checks of the opposite do not apply.
 */
const withoutChecks = "positive_data_acceptance,negative_data_rejection";

/** Parts of the document by what their paths are, with how many requests are made up for each operation at least. */
const parts: [name: string, include: string, examples: number, wanted: number][] = [
  ["the native surface", "^/(generate|v1/jobs)", 20, 1000],
  ["every other surface", "^/(?!generate|v1/jobs)", 40, 1000],
];

for (const [name, include, examples, wanted] of parts) {
  Deno.test(`what schemathesis makes up for ${name} is answered as the document says`, async () => {
    const installed = await new Deno.Command("sh", { args: [`${here}install.sh`, folder], stderr: "inherit" }).output();
    assert.ok(installed.success);
    await using server = await Server.start("--queue", "8");
    const { success, stdout, stderr } = await new Deno.Command(`${folder}/venv/bin/schemathesis`, {
      args: [
        ...["--no-color", "run", `${server.url}/openapi.json`, "--include-path-regex", include],
        ...["--max-examples", `${examples}`, "--seed", seed, "--exclude-checks", withoutChecks],
        ...["--request-timeout", "30", "--generation-database", "none", "--warnings", "off"],
      ],
      env: { SCHEMATHESIS_HOOKS: "fuzz_hooks", PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: "1" },
      cwd: folder,
    }).output();
    const out = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.ok(success, out);
    const cases = Number(/(\d+) generated/.exec(out)?.[1] ?? 0);
    console.log(`${cases} requests`);
    assert.ok(cases >= wanted, `${cases} requests are too few\n${out}`);
  });
}
