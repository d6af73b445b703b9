/// <reference lib="deno.worker" />
/** A Worker that speaks the engine's protocol and does what the prompt says, to show what the real one rarely does. */
import type { FromWorker, ToWorker } from "../../src/engine/protocol.ts";
import { info } from "../server/fake_engine.ts";

const send = (message: FromWorker) => self.postMessage(message);

const names = ["read", "ffi", "env", "net", "run", "sys", "write"] as const;

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  switch (message.type) {
    case "start":
      send({ type: "log", message: `loading ${message.options.model}` });
      if (message.options.model === "permissions") {
        for (const name of names) {
          send({ type: "log", message: `${name} ${Deno.permissions.querySync({ name }).state}` });
        }
      }
      if (message.options.model === "missing") {
        send({ type: "unready", error: { code: "internal", message: "There is no such model" } });
      } else send({ type: "ready", info });
      return;
    case "generate": {
      const { id, request } = message;
      send({ type: "started", id, truncatedTokens: 3 });
      if (request.prompt === "crash") setTimeout(() => (undefined as unknown as () => void)());
      if (request.prompt === "lose") send({ type: "unready", error: { code: "device_lost", message: "It fell off" } });
      if (request.prompt === "fail") send({ type: "failed", id, error: { code: "out_of_memory", message: "Too big" } });
      if (request.prompt === "finish") send({ type: "done", id, timing: { denoise: 5 } });
      return;
    }
    case "describe": {
      const { id, model: name } = message;
      if (name !== "other") {
        send({ type: "undescribed", id, error: { code: "invalid_request", message: "There is no such model" } });
      } else send({ type: "described", id, info: { ...info, model: { ...info.model, name } } });
      return;
    }
    case "cancel":
      send({ type: "cancelled", id: message.id });
      return;
  }
};
