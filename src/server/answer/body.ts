/** Pieces as the body of an answer, which tells when its reader is gone. */

/**
 * A body of `pieces`, pulled as fast as the reader takes them. `left` is called once, when all is sent, when the pieces
 * fail, or when the reader is gone. An error breaks the body off.
 */
export function bodyOf(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>,
  left: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await pieces.next();
        if (!done) return controller.enqueue(value);
        controller.close();
        left();
      } catch (error) {
        controller.error(error);
        left();
      }
    },
    cancel() {
      left();
      pieces.return().catch(() => {}); // what it waits for is nobody's any more
    },
  });
}

/** `pieces` with those in front that were read already. */
export async function* resumed<T>(first: IteratorResult<T, void>, pieces: AsyncGenerator<T, void>) {
  if (first.done) return;
  yield first.value;
  yield* pieces;
}
