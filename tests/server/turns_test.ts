import assert from "node:assert/strict";
import { Turns } from "../../src/server/turns.ts";
import { moment } from "./serve.ts";

Deno.test("turns under one name come one after the other, in the order asked for, and other names do not wait", async () => {
  const turns = new Turns(), { signal } = new AbortController(), seen: string[] = [];
  const work = async (name: string, what: string) => {
    using _turn = await turns.take(name, signal);
    seen.push(`${what} begins`);
    await moment(1);
    seen.push(`${what} ends`);
  };
  await Promise.all([work("a", "first"), work("a", "second"), work("a", "third"), work("b", "other")]);
  const ofA = seen.filter((line) => !line.startsWith("other"));
  assert.deepEqual(ofA, ["first", "second", "third"].flatMap((what) => [`${what} begins`, `${what} ends`]));
  assert.ok(seen.indexOf("other begins") < seen.indexOf("first ends"));
});

Deno.test("who gives up waiting is not waited for, and does not let the next one in too early", async () => {
  const turns = new Turns(), { signal } = new AbortController(), left = new AbortController();
  const first = await turns.take("a", signal), second = turns.take("a", left.signal);
  left.abort(new DOMException("left", "AbortError"));
  await assert.rejects(second, { name: "AbortError" });
  let begun = false;
  const third = turns.take("a", signal).then((turn) => {
    begun = true;
    return turn;
  });
  await moment();
  assert.equal(begun, false);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  (await turns.take("a", signal))[Symbol.dispose](); // nothing is left behind that would be waited for
});
