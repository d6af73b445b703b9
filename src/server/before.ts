/** What `promise` resolves with. @throws the signal's reason, where it fires first */
export async function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}
