/** PyTorch's diffusers as a contestant: a Python process of a virtual environment that the caller has. */
import { fileURLToPath } from "node:url";
import { UsageError } from "../../std/command_line.ts";
import type { Contestant, Round, Stage } from "./contestant.ts";

export class DiffusersContestant implements Contestant {
  readonly warmsUp = true;

  private constructor(
    readonly name: string,
    readonly process: Deno.ChildProcess,
    readonly answers: AsyncIterator<Record<string, unknown>>,
    readonly questions: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>,
  ) {}

  /**
   * Starts `venv`'s Python on the model in `folder`.
   * @throws {UsageError} where it does not answer: the environment lacks torch, diffusers or transformers
   */
  static async open(venv: string, folder: string): Promise<DiffusersContestant> {
    const python = Deno.build.os === "windows" ? `${venv}/Scripts/python.exe` : `${venv}/bin/python`;
    const script = fileURLToPath(new URL("diffusers_peer.py", import.meta.url));
    let process: Deno.ChildProcess;
    try {
      process = new Deno.Command(python, { args: [script, folder], stdin: "piped", stdout: "piped", stderr: "inherit" })
        .spawn();
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      throw new UsageError(
        `Cannot start ${python}: ${reason}, --peer diffusers=VENV with a virtual environment would do`,
      );
    }
    const answers = lines(process.stdout);
    const { value, done } = await answers.next();
    if (done) {
      const { code } = await process.status;
      throw new UsageError(
        `Cannot use ${venv}: its Python ended with ${code}, torch, diffusers and transformers would do`,
      );
    }
    return new DiffusersContestant(`${value.name}`, process, answers, process.stdin.getWriter());
  }

  async round(side: number, wanted: readonly Stage[]): Promise<Round> {
    return await this.#ask({ side, stages: wanted });
  }

  async load(): Promise<number> {
    return Number((await this.#ask({ load: true })).load);
  }

  async close(): Promise<void> {
    await this.questions.close();
    await this.process.status;
  }

  async #ask(question: object): Promise<Record<string, number>> {
    await this.questions.write(new TextEncoder().encode(JSON.stringify(question) + "\n"));
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.name} ended early, what it wrote says why`);
    return value as Record<string, number>;
  }
}

/** The JSON objects of a stream, one a line. */
async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Record<string, unknown>, void> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + piece).split("\n");
    text = parts.pop()!;
    for (const part of parts) yield JSON.parse(part);
  }
}
