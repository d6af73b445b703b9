/** Work under a name, one at a time: what two ask for at the same moment one does, and the other finds done. */
import { before } from "./before.ts";

export class Turns {
  /** Of each name the last turn that was asked for; it resolves when that one and all earlier ones are over. */
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Waits until every turn that was asked for earlier under the name is over. Disposing of the result ends this one.
   *
   * @throws the reason of the signal, where it fires first
   */
  async take(name: string, signal: AbortSignal): Promise<Disposable> {
    const earlier = this.#last.get(name), { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const over: Promise<void> = Promise.all([earlier, ended]).then(() => {
      if (this.#last.get(name) === over) this.#last.delete(name);
    });
    this.#last.set(name, over);
    try {
      await before(signal, Promise.resolve(earlier));
    } catch (error) {
      end();
      throw error;
    }
    return { [Symbol.dispose]: end };
  }
}
