/** What the server says once it is ready. */
import type { EngineInfo, MemoryReport } from "../engine/protocol.ts";
import { formatBytes } from "../engine/residency.ts";
import { version } from "../engine/version.ts";
import type { Log } from "./log.ts";

export interface Announcement {
  info: EngineInfo;
  memory?: MemoryReport;
  url: string;
}

/** Says where, with which model, on what and with how much memory: in lines for people, or as one record. */
export function announce(log: Log, { info, memory, url }: Announcement): void {
  const { model, adapter, precision, timing } = info;
  const seconds = Object.values(timing).reduce((sum, ms) => sum + ms, 0) / 1000;
  const example = `curl -G '${url}/generate' --data-urlencode 'prompt=a red circle on a blue background' -o out.png`;
  const slow = `${adapter.name} is software, and slow: a GPU and its driver would do, --require-gpu refuses this`;
  if (log.isJson) {
    log.info("Serving", {
      version,
      url,
      model: model.name,
      precision,
      adapter: adapter.name,
      backend: adapter.backend,
      software: adapter.software,
      tuning: adapter.tuning,
      memory_used_bytes: memory?.used,
      memory_budget_bytes: memory?.budget,
      seconds: Math.round(1000 * seconds) / 1000,
      try: example,
    });
    if (adapter.software) log.warn(slow);
    return;
  }
  const used = memory && `${formatBytes(memory.used)} in use`, most = memory?.budget;
  const facts = {
    adapter: `${adapter.name}, ${adapter.backend}${adapter.software ? ", SOFTWARE" : ""}${
      adapter.tuning ? ", tuned" : ""
    }`,
    ...used && { memory: most === undefined ? used : `${used}, at most ${formatBytes(most)}` },
    page: `${url}/`,
    try: example,
  };
  const lines = Object.entries(facts).map(([name, fact]) => `\n  ${name.padEnd(8)} ${fact}`);
  log.info(`Serving ${model.name} in ${precision} at ${url}, ready in ${seconds.toFixed(1)} s${lines.join("")}`);
  if (adapter.software) log.warn(slow);
}
