/** What the Worker is asked beside jobs, and has not answered: one that takes another's place is asked it again. */
import type { ToWorker } from "./protocol.ts";

export class Questions<Answer> {
  readonly #open = new Map<string, { message: ToWorker; answer: PromiseWithResolvers<Answer> }>();

  /** Whether any is open. */
  get areOpen(): boolean {
    return this.#open.size > 0;
  }

  /** The answer to a question, which is sent unless one with its id is open. */
  ask(message: ToWorker & { id: string }, send: (message: ToWorker) => void): Promise<Answer> {
    let asked = this.#open.get(message.id);
    if (!asked) {
      this.#open.set(message.id, asked = { message, answer: Promise.withResolvers() });
      send(message);
    }
    return asked.answer.promise;
  }

  /** Sends all of them again. */
  repeat(send: (message: ToWorker) => void): void {
    for (const { message } of this.#open.values()) send(message);
  }

  /** Closes one, of which its answer or an error is known. */
  close(
    id: string,
    { answer, error }: { answer: Answer; error?: undefined } | { answer?: undefined; error: Error },
  ): void {
    const asked = this.#open.get(id)?.answer;
    this.#open.delete(id);
    if (error) asked?.reject(error);
    else asked?.resolve(answer as Answer);
  }

  /** Closes all of them with an error. */
  fail(error: Error): void {
    for (const id of [...this.#open.keys()]) this.close(id, { error });
  }
}
