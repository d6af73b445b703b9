/** Pieces as the body of an answer, which tells when its reader is gone. */

/** How a body came to its end: its reader has all of it or is gone, or the pieces failed. */
export type BodyEnd = { how: "sent" } | { how: "left" } | { how: "failed"; error: unknown };

/** A body that is made piece by piece, and tells how it ended. */
export class PiecesBody extends ReadableStream<Uint8Array<ArrayBuffer>> {
  /** Never rejects. */
  readonly ended: Promise<BodyEnd>;

  constructor(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>) {
    const { promise, resolve } = Promise.withResolvers<BodyEnd>();
    super({
      async pull(controller) {
        try {
          const { done, value } = await pieces.next();
          if (!done) return controller.enqueue(value);
          controller.close();
          resolve({ how: "sent" });
        } catch (error) {
          controller.error(error);
          resolve({ how: "failed", error });
        }
      },
      cancel() {
        resolve({ how: "left" });
        pieces.return().catch(() => {}); // what it waits for is nobody's any more
      },
    });
    this.ended = promise;
  }
}

/**
 * A body of `pieces`, pulled as fast as the reader takes them. `left` is called once, when all is sent, when the pieces
 * fail, or when the reader is gone. An error breaks the body off.
 */
export function bodyOf(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>, left: () => void): PiecesBody {
  const body = new PiecesBody(pieces);
  body.ended.then(left);
  return body;
}

/** `pieces` with those in front that were read already. */
export async function* resumed<T>(first: IteratorResult<T, void>, pieces: AsyncGenerator<T, void>) {
  if (first.done) return;
  yield first.value;
  yield* pieces;
}
