import { deepStrictEqual, ok } from "node:assert/strict";
import { files, read } from "./files.ts";

const all = [...files()];
/** Written by hand: neither weights nor the reference's data. */
const written = all.filter((path) => /\.(ts|js|mjs|css|html|wgsl|sh|py|md)$|^\.ci\/|^deno\.json$/.test(path));

Deno.test("the top level has the few names that a newcomer is told of", () => {
  const top = new Set(all.map((path) => path.split("/")[0]).filter((name) => !name.startsWith(".")));
  const told =
    "BENCHMARKS.md CONTRIBUTING.md LICENSE README.md deno.json deno.lock deploy kernels main.ts src tests weights";
  deepStrictEqual([...top].sort(), told.split(" "));
});

Deno.test("no file knows the machine it was written on, nor a folder outside of the project", () => {
  // Home folders and work folders, and a step above the project's own root.
  const machine = /(?<![\w.~-])\/(home|Users|root|work)\/\w/;
  for (const path of written) {
    for (const [i, line] of read(path).split("\n").entries()) {
      ok(
        !machine.test(line),
        `${path}:${i + 1} names a path of one machine: ${line}`,
      );
      const depth = path.split("/").length - 1;
      for (const [, up] of line.matchAll(/(?<![\w./])((?:\.\.\/)+)[\w.-]/g)) {
        ok(up.length / 3 <= depth, `${path}:${i + 1} leaves the project: ${line}`);
      }
    }
  }
});

Deno.test("no file of code is longer than 400 lines, and none is left to be done later", () => {
  const later = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
  for (const path of written) {
    const text = read(path);
    if (/\.(ts|js|mjs|css|html|wgsl)$/.test(path)) {
      const lines = text.split("\n").length - 1;
      ok(lines <= 400, `${path} has ${lines} lines: it holds more than one idea`);
    }
    ok(!later.test(text), `${path} leaves something to be done later`);
  }
});

Deno.test("what the tests carry of the reference stays under 30 MB", () => {
  let bytes = 0;
  for (const path of all) {
    if (path.startsWith("tests/oracle/")) bytes += Deno.statSync(new URL(`../${path}`, import.meta.url)).size;
  }
  ok(bytes > 1e6 && bytes < 30e6, `tests/oracle has ${(bytes / 1e6).toFixed(1)} MB`);
});
