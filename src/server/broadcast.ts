/** A list that grows while many read it, each from its own start and at its own speed. */
export class Broadcast<T> {
  readonly #items: T[] = [];
  #grown = Promise.withResolvers<void>();
  #end?: { error?: unknown };

  /** What is in the list so far. */
  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#tell();
  }

  /** Nothing more will come; with an error, every reader fails with it once it has read what there is. */
  end(end: { error?: unknown } = {}): void {
    this.#end ??= end;
    this.#tell();
  }

  /** The items from the `first` on, those that are still to come included. */
  async *from(first = 0): AsyncGenerator<T, void> {
    for (let i = first;;) {
      if (i < this.#items.length) {
        yield this.#items[i++];
        continue;
      }
      if (this.#end) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      await this.#grown.promise;
    }
  }

  #tell(): void {
    this.#grown.resolve();
    this.#grown = Promise.withResolvers();
  }
}
