import { deepStrictEqual, match, ok } from "node:assert/strict";
import { files, read, references, root } from "./files.ts";

const ladder = ["tensor", "gpu", "graph", "ops", "nn", "models"];
const leaves = ["checkpoint", "prompt", "tokenizer", "samplers", "png", "image"];
const engine = [...ladder, ...leaves, "engine"];

/** What each room may import beside itself and `std`; `kernels` are the WGSL files. */
const allowed: Record<string, string[]> = {
  std: [],
  ...Object.fromEntries(ladder.map((room, i) => [room, ladder.slice(0, i)])),
  ops: [...ladder.slice(0, 3), "kernels"],
  ...Object.fromEntries(leaves.map((room) => [room, ["tensor"]])),
  engine: [...engine, "kernels"],
  // The device lives in the engine's Worker: what serves requests never sees it.
  server: ["engine", "image", "png", "samplers"],
  parity: engine,
  // Only the command that downloads knows the hub, and with it the hub's library.
  hub: [],
  cli: [...engine, "parity", "server", "hub"],
  main: ["engine", "image", "png", "server", "cli"],
};

const modules = [...files()].filter((path) => /^(src\/.*|main)\.ts$/.test(path));
const roomOf = (path: string) => path.match(/^src\/([^/]+)\//)?.[1] ?? path.match(/^(main|kernels)\b/)?.[1] ?? path;

/** Every reference between two files of the project: from, to. */
function* edges(): Generator<[string, string]> {
  for (const path of modules) {
    for (const specifier of references(path)) {
      // Other relative paths are of data, such as the folder of the embedded model.
      if (!/^\.\.?\/.*\.(ts|wgsl)$/.test(specifier)) continue;
      yield [path, new URL(specifier, new URL(path, root)).href.slice(root.href.length)];
    }
  }
}

Deno.test("every room imports only the rooms below it", () => {
  const upward: string[] = [];
  for (const [from, to] of edges()) {
    const [room, other] = [roomOf(from), roomOf(to)];
    ok(room in allowed, `${from} is in no known room: give ${room} its place in this test and in CONTRIBUTING.md`);
    if (room !== other && other !== "std" && !allowed[room].includes(other)) upward.push(`${from} imports ${to}`);
  }
  deepStrictEqual(upward, []);
});

Deno.test("the order of rooms has no cycle", () => {
  const reach = (room: string, path: string[]): void => {
    ok(!path.includes(room), `${[...path, room].join(" → ")} is a cycle`);
    for (const other of allowed[room] ?? []) if (other !== room) reach(other, [...path, room]);
  };
  for (const room of ["main", "cli", "parity", "server"]) reach(room, []);
});

const { imports } = JSON.parse(read("deno.json")) as { imports: Record<string, string> };
const packages = Object.entries(imports).filter(([, target]) => !target.startsWith("./"));

Deno.test("every dependency is pinned to one version, and the lock file has that very one", () => {
  const { specifiers } = JSON.parse(read("deno.lock")) as { specifiers: Record<string, string> };
  for (const [name, target] of packages) {
    match(target, /^(npm|jsr):(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+$/, `${name} is not pinned exactly`);
    ok(target in specifiers, `deno.lock does not have ${target}: run deno install`);
  }
});

Deno.test("every dependency is imported somewhere, and by its short name only", () => {
  const used = new Set<string>();
  for (const path of files()) {
    if (!path.endsWith(".ts")) continue;
    for (const specifier of references(path)) {
      ok(
        !/^(npm|jsr|https?):/.test(specifier),
        `${path} imports ${specifier}: deno.json is the one place for versions`,
      );
      const name = Object.keys(imports).find((name) => specifier === name || specifier.startsWith(`${name}/`));
      if (name) used.add(name);
    }
  }
  deepStrictEqual(Object.keys(imports).filter((name) => !used.has(name)), []);
});

Deno.test("the README's table says of every dependency which version it is and what it is for", () => {
  const rows = Array.from(read("README.md").matchAll(/^\| `([^`]+)` \| (\d+\.\d+\.\d+) \| \S.*\|$/gm));
  deepStrictEqual(
    rows.map(([, name, version]) => `${name}@${version}`).sort(),
    packages.map(([, target]) => target.replace(/^(npm|jsr):/, "")).sort(),
  );
});
