/** A throw-away project around the real scripts, whose folder's name has spaces and whose PATH the test chooses. */
const root = new URL("../../", import.meta.url);

/** What a script left behind: exit status and both of its streams. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A copy of `deploy/` and `.ci/` in an empty folder, with `bin/` for the programs a test puts on PATH. */
export class Project implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "a clean checkout " });
  readonly bin = `${this.folder}/bin`;

  constructor() {
    for (const folder of ["deploy", ".ci", "bin", "elsewhere"]) Deno.mkdirSync(`${this.folder}/${folder}`);
    for (const file of ["deploy/bootstrap.sh", ".ci/run"]) {
      Deno.copyFileSync(new URL(file, root), `${this.folder}/${file}`);
    }
  }

  /** Puts a shell script of this name on the PATH of `run`. */
  program(name: string, body: string): void {
    Deno.writeTextFileSync(`${this.bin}/${name}`, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }

  /** Puts programs of this machine on the PATH of `run`. */
  link(...names: string[]): void {
    for (const name of names) {
      const path = (Deno.env.get("PATH") ?? "").split(":").map((folder) => `${folder}/${name}`).find(isFile);
      if (path === undefined) throw new Error(`Cannot link ${name}: it is not on PATH`);
      Deno.symlinkSync(path, `${this.bin}/${name}`);
    }
  }

  /** Runs a command from another folder; programs are found in `bin/` only, and the environment is empty otherwise. */
  run(command: string, args: string[], env: Record<string, string> = {}): Outcome {
    const output = new Deno.Command(command, {
      args,
      cwd: `${this.folder}/elsewhere`,
      clearEnv: true,
      env: { PATH: this.bin, HOME: this.folder, TMPDIR: this.folder, ...env },
    }).outputSync();
    const text = new TextDecoder();
    return { code: output.code, stdout: text.decode(output.stdout), stderr: text.decode(output.stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
