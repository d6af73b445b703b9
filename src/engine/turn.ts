/** Turns of the event loop. */

/** Lets messages that have arrived be handled, so that a cancellation among them is heard. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
