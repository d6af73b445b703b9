import { match, ok, strictEqual } from "node:assert/strict";
import { Project } from "./project.ts";

// Stands in for Deno: says a version, answers the adapter question, and reports how the task was started.
const deno = (version: string, adapter: boolean) => `
case $1 in
  --version) echo "deno ${version} (stable, release, x86_64-unknown-linux-gnu)" ;;
  eval) exit ${adapter ? 0 : 1} ;;
  install) ;;
  *) printf '%s|' "$@"; echo "$XDG_RUNTIME_DIR" ;;
esac`;

const shell = ["dirname", "sed", "id", "ls", "mkdir", "mktemp", "chmod", "cp", "ln", "sh"];

Deno.test("bootstrap.sh names its tasks when it is given none or an unknown one", () => {
  using project = new Project();
  project.link(...shell);
  for (const args of [[], ["sevre"]]) {
    const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", ...args]);
    strictEqual(outcome.code, 2);
    match(outcome.stderr, /usage: sh deploy\/bootstrap\.sh serve\|generate\|pull\|tune\|test\|bench\|parity\|check/);
  }
});

Deno.test("bootstrap.sh says nothing and installs nothing where Deno and an adapter are present", () => {
  using project = new Project();
  project.link(...shell);
  project.program("deno", deno("3.0.1", true));
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "generate", "a red circle", "-o", "o.png"]);
  strictEqual(outcome.stderr, "");
  const config = `${project.folder}/deno.json`;
  const task = `task|--quiet|--config|${config}|generate|a red circle|-o|o.png|`;
  strictEqual(outcome.stdout.slice(0, task.length), task);
  const runtime = outcome.stdout.slice(task.length).trim();
  strictEqual(Deno.statSync(runtime).mode! & 0o777, 0o700, "drivers get a private runtime folder");
});

Deno.test("bootstrap.sh keeps the runtime folder that the environment names", () => {
  using project = new Project();
  project.link(...shell);
  project.program("deno", deno("2.9.6", true));
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"], { XDG_RUNTIME_DIR: project.bin });
  match(outcome.stdout, new RegExp(`\\|serve\\|${project.bin}\n$`));
});

Deno.test("bootstrap.sh says what to install where Deno is too old and nothing can fetch another", () => {
  using project = new Project();
  project.link(...shell);
  project.program("deno", deno("2.8.9", true));
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]);
  strictEqual(outcome.code, 1);
  match(outcome.stderr, /neither npm nor curl nor wget is here; install one of them, or Deno 2\.9 or later/);
});

Deno.test("bootstrap.sh installs Deno through npm into .tools, once", () => {
  using project = new Project();
  project.link(...shell, "uname");
  project.program("new-deno", deno("2.9.6", true));
  project.program(
    "npm",
    `while [ $# -gt 0 ]; do [ "$1" = --prefix ] && prefix=$2; package=$1; shift; done
     mkdir -p "$prefix/node_modules/@deno/here" && cp "${project.bin}/new-deno" "$prefix/node_modules/@deno/here/deno"
     echo "npm installs $package" >&2`,
  );
  const first = project.run("/bin/sh", ["../deploy/bootstrap.sh", "check"]);
  strictEqual(first.code, 0, first.stderr);
  match(first.stderr, /installing Deno 2\.9\.6 into \.tools, through npm\nnpm installs deno@2\.9\.6\n/);
  match(first.stdout, /\|check\|/);
  const second = project.run("/bin/sh", ["../deploy/bootstrap.sh", "check"]);
  strictEqual(second.stderr, "");
  match(second.stdout, /\|check\|/);
});

Deno.test("bootstrap.sh installs Deno through its own installer where npm is absent", () => {
  using project = new Project();
  project.link(...shell);
  project.program("new-deno", deno("2.9.6", true));
  project.program(
    "curl",
    `while [ $# -gt 0 ]; do [ "$1" = -o ] && shift && file=$1; shift; done
     echo 'echo "installer: $1" && cp "${project.bin}/new-deno" "$DENO_INSTALL/bin/deno"' > "$file"`,
  );
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "check"]);
  strictEqual(outcome.code, 0, outcome.stderr);
  match(outcome.stderr, /through its own installer\ninstaller: v2\.9\.6\n/);
  match(outcome.stdout, /\|check\|/);
});

Deno.test("bootstrap.sh prints the exact line to run where an adapter is missing and it is not root", () => {
  using project = new Project();
  project.link(...shell.filter((name) => name !== "id"));
  project.program("id", "echo 1000");
  project.program("uname", "echo Linux");
  project.program("apt-get", "echo must not run; exit 9");
  project.program("deno", deno("2.9.6", false));
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]);
  strictEqual(outcome.code, 1);
  const last = outcome.stderr.trim().split("\n").at(-1);
  strictEqual(
    last,
    "sudo apt-get update && sudo apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers",
  );
  ok(!outcome.stdout.includes("must not run"));
});

Deno.test("bootstrap.sh installs the software driver as root, and only where an adapter is missing", () => {
  using project = new Project();
  project.link(...shell.filter((name) => name !== "id"));
  project.program("id", "echo 0");
  project.program("uname", "echo Linux");
  project.program("apt-get", `echo "apt-get $*"; [ "$1" = update ] || : > "${project.bin}/driver"`);
  project.program("deno", deno("2.9.6", false).replace("exit 1", `[ -f "${project.bin}/driver" ]`));
  const first = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]);
  strictEqual(first.code, 0, first.stderr);
  match(first.stderr, /apt-get update .*\napt-get install .*--no-install-recommends libvulkan1 mesa-vulkan-drivers\n$/);
  strictEqual(project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]).stderr, "");
});

Deno.test("bootstrap.sh takes OpenGL's adapter for none, unless it is told to take it", () => {
  using project = new Project();
  project.link(...shell.filter((name) => name !== "id"));
  project.program("id", "echo 1000");
  project.program("uname", "echo Linux");
  project.program("apt-get", "echo must not run; exit 9");
  const openGlAlone = "case ,$DENO_WEBGPU_BACKEND, in ,, | *,gl,*) exit 0 ;; *) exit 1 ;; esac";
  project.program("deno", deno("2.9.6", false).replace("exit 1", openGlAlone));
  const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]);
  strictEqual(outcome.code, 1);
  match(outcome.stderr, /No GPU adapter was found/);
  const told = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"], { DENO_WEBGPU_BACKEND: "gl" });
  strictEqual(told.code, 0, told.stderr);
});

Deno.test("bootstrap.sh says in one sentence what to install on systems without apt", () => {
  for (
    const [manager, system, words] of [
      ["dnf", "Linux", /sudo dnf install vulkan-loader mesa-vulkan-drivers/],
      ["pacman", "Linux", /sudo pacman -S vulkan-icd-loader vulkan-swrast/],
      ["zypper", "Linux", /sudo zypper install libvulkan1 libvulkan_lvp/],
      ["apk", "Linux", /apk add vulkan-loader mesa-vulkan-swrast/],
      ["nix", "Linux", /install Vulkan's loader and Mesa's software driver/],
      ["brew", "Darwin", /macOS brings its own/],
      ["choco", "MINGW64_NT-10.0", /install the graphics driver of your GPU's vendor/],
    ] as const
  ) {
    using project = new Project();
    project.link(...shell);
    project.program(manager, "echo must not run; exit 9");
    project.program("uname", `echo ${system}`);
    project.program("deno", deno("2.9.6", false));
    const outcome = project.run("/bin/sh", ["../deploy/bootstrap.sh", "serve"]);
    strictEqual(outcome.code, 1);
    match(outcome.stderr, words);
    strictEqual(outcome.stderr.trim().split("\n").length, 1, outcome.stderr);
  }
});
