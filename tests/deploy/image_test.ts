import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { dirname, join, relative } from "node:path/posix";
import { tuningPath } from "../../src/engine/tuning.ts";
import { files, read, root } from "../files.ts";

const dockerfile = read("deploy/Dockerfile"), unit = read("deploy/stable-diffusion.service");
const { tasks } = JSON.parse(read("deno.json")) as { tasks: Record<string, string> };

Deno.test("the image has the Deno that bootstrap.sh installs, and starts the task whose rights deno.json names", () => {
  const [, version] = /^deno_version=(\S+)/m.exec(read("deploy/bootstrap.sh"))!;
  match(dockerfile, new RegExp(`^FROM denoland/deno:bin-${version.replaceAll(".", "\\.")} AS deno$`, "m"));
  match(dockerfile, /^ENTRYPOINT \["deno", "task", "--quiet", "serve"\]$/m);
  match(unit, /^ExecStart=\/\S+\/deno task --quiet serve$/m);
  ok(tasks.serve.startsWith("deno run --no-prompt "));
});

Deno.test("the image gets what the programme is made of, and nothing else passes .dockerignore", () => {
  const copied = Array.from(dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm), ([, sources]) => sources.split(" "))
    .flat();
  const programme = ["deno.json", "deno.lock", "kernels", "main.ts", "src", "weights"];
  deepStrictEqual(copied.toSorted(), programme);
  const [all, ...kept] = read("deploy/Dockerfile.dockerignore").trim().split("\n");
  strictEqual(all, "*");
  deepStrictEqual(kept.map((line) => line.replace(/^!/, "").split("/")[0]).toSorted(), programme);
  const present = [...files()];
  for (const line of kept) ok(present.some((path) => path.startsWith(line.slice(1))), line);
});

Deno.test("every variable that the image and the unit set is one that something reads", () => {
  const set = [
    ...dockerfile.matchAll(/^(?:ENV)? +([A-Z_]+)=/gm),
    ...unit.matchAll(/^Environment=(.*)$/gm).flatMap(([, line]) => line.matchAll(/([A-Z_]+)=/g)),
  ].map(([, name]) => name);
  const readable = /--allow-env=(\S+)/.exec(tasks.serve)![1].split(",");
  const others = /^(DENO_|XDG_RUNTIME_DIR$|MESA_|NVIDIA_)/;
  ok(set.length >= 12);
  for (const name of set) ok(readable.includes(name) || others.test(name), `nothing reads ${name}`);
});

Deno.test("the image's user has the folders that drivers and tune write to, and the volume of its description is one", () => {
  const owned = Array.from(dockerfile.matchAll(/install -d -m 700 -o sd -g sd ((?:\/\S+ )+)/g), ([, list]) => list)
    .flatMap((list) => list.trim().split(" "));
  const [, folder] = /^WORKDIR (.+)$/m.exec(dockerfile)!;
  const kept = join(folder, relative(fileURLToPath(root), dirname(tuningPath)));
  ok(owned.includes(kept), `${kept} is not among ${owned}`);
  for (const name of ["XDG_RUNTIME_DIR", "MESA_SHADER_CACHE_DIR"]) {
    const [, value] = new RegExp(`^(?:ENV)? +${name}=(\\S+)`, "m").exec(dockerfile)!;
    ok(owned.includes(value), `${name} is ${value}, which is not among ${owned}`);
  }
  const volumes = Array.from(read("deploy/README.md").matchAll(/-v sd-[^:]+:([^\s`)]+)/g), ([, path]) => path);
  deepStrictEqual([...new Set(volumes)], [kept]);
  match(dockerfile, /^RUN deno cache --frozen .*src\/cli\/tune\.ts/m); // whoever tunes may not compile into the image
});

Deno.test("systemd finds nothing wrong with the unit, where there is systemd", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/stable-diffusion.service`;
  // The binary need not be where this test runs.
  await Deno.writeTextFile(path, unit.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
  try {
    const { success, stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", path] }).output();
    const said = new TextDecoder().decode(stderr);
    ok(success && !said.includes("stable-diffusion.service"), said); // what it passes over it only mentions
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("systemd-analyze is not here: the unit was not looked at");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
