/// <reference lib="deno.worker" />
/**
 * A Worker that speaks the engine's protocol and does what the model and the prompt say, to show what the real one rarely does.
 * Which of several Workers of one engine it is it learns by the budget that the one before it reported.
 */
import type { FromWorker, JobEvent, ToWorker } from "../../src/engine/protocol.ts";
import { info } from "../server/fake_engine.ts";

const send = (message: FromWorker) => self.postMessage(message);

const names = ["read", "ffi", "env", "net", "run", "sys", "write"] as const;

/** How many Workers there were before this one. */
let life = 0;

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  switch (message.type) {
    case "start":
      life = message.options.budget ?? 0;
      send({
        type: "memory",
        report: { budget: life + 1, used: 0, peak: 0, bytes: zero, residents: [], evictions: 0 },
      });
      start(message.options.model);
      return;
    case "generate":
      // The real one defers jobs before it begins others.
      for (const { id, request } of message.jobs.toSorted((a) => a.request.prompt === "defer" ? -1 : 0)) {
        generate(id, request.prompt, message.jobs.length);
      }
      return;
    case "describe": {
      const { id, model: name } = message;
      if (name === "lose" && life === 0) send({ type: "lost", error: { code: "device_lost", message: "It fell off" } });
      else if (name !== "other" && name !== "lose") {
        send({ type: "undescribed", id, error: { code: "invalid_request", message: "There is no such model" } });
      } else send({ type: "described", id, info: { ...info, model: { ...info.model, name } } });
      return;
    }
    case "cancel":
      send({ type: "cancelled", id: message.id });
      return;
    case "unload":
    case "load": {
      const { id } = message, model = message.type === "load" ? message.model : undefined;
      send({ type: "log", message: `${message.type} in life ${life}` });
      if (model === "lose" && life === 0) {
        send({ type: "lost", error: { code: "device_lost", message: "It fell off" } });
      } else if (model === "hang" && life === 0) return;
      else if (model !== "missing") send({ type: "moved", id });
      else send({ type: "moved", id, error: { code: "invalid_request", message: "There is no such model" } });
      return;
    }
  }
};

const zero = { weights: 0, slots: 0, named: 0, staging: 0 };

function start(model: string): void {
  send({ type: "log", message: `loading ${model}` });
  if (model === "permissions") {
    for (const name of names) send({ type: "log", message: `${name} ${Deno.permissions.querySync({ name }).state}` });
  }
  const isUnready = model === "missing" || model === "doomed" && life > 0 || model === "slow" && life % 4 > 0;
  if (isUnready) send({ type: "unready", error: { code: "internal", message: "There is no such model" } });
  else if (model === "moved" && life === 1) send({ type: "ready", info: { ...info, precision: "f16" } });
  else if (model === "large") beAlive(6);
  else if (model !== "silent" && (model !== "stuck" || life !== 1)) send({ type: "ready", info });
}

/** Is alive so often, every 300 ms, and then ready. */
function beAlive(times: number): void {
  send(times > 0 ? { type: "alive" } : { type: "ready", info });
  if (times > 0) setTimeout(() => beAlive(times - 1), 300);
}

/**
 * `PROMPT` or `WHAT AFTER [always]`: the device is lost, or the Worker fails, after so many events, in the first life or in all;
 * a job of `together` fails with the others.
 */
function generate(id: string, prompt: string, together: number): void {
  const [what, after, always] = prompt.split(" ");
  const ends = what === "part" ? together > 1 : always !== undefined || life === 0;
  if (what === "fail") return send({ type: "failed", id, error: { code: "out_of_memory", message: "Too big" } });
  if (what === "defer" && together > 1) return send({ type: "deferred", id });
  for (const [i, event] of [...eventsOf(id)].entries()) {
    if (i === Number(after) && ends) {
      if (what === "lose") send({ type: "lost", error: { code: "device_lost", message: "It fell off" } });
      if (what === "part") send({ type: "parted", id, error: { code: "out_of_memory", message: "It is full" } });
      if (what === "crash") setTimeout(() => (undefined as unknown as () => void)());
      if (what === "again" && life === 0) {
        send({ type: "again", id, error: { code: "out_of_memory", message: "It is full" } });
        for (const event of eventsOf(id)) send(event);
      }
      return; // and hangs, where that is all
    }
    send(event);
  }
}

function* eventsOf(id: string): Generator<JobEvent> {
  yield { type: "started", id, truncatedTokens: 3 };
  const pixels = new Uint8Array([life, life, life]);
  for (let step = 1; step <= 2; step++) {
    yield { type: "step", id, step, steps: 2, ms: 1, pictures: 1 };
    for (let image = 0; image < 2; image++) yield { type: "preview", id, image, step, width: 1, height: 1, pixels };
  }
  for (const [image, top] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    yield { type: "rows", id, image, top, rows: 1, bytes: new Uint8Array([0, image, top, life]) };
  }
  yield { type: "done", id, timing: { denoise: 5 } };
}
