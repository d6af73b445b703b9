/** What is counted, in the text format of Prometheus (version 0.0.4). */
import process from "node:process";
import type { FaultCounts } from "../engine/client.ts";
import type { EngineInfo, MemoryReport } from "../engine/protocol.ts";
import { residentKinds } from "../engine/residency.ts";
import { version } from "../engine/version.ts";
import { type Family, type Labels, textOf } from "./instruments.ts";

/** What the metrics are made from. */
export interface Measured {
  /** Whether a picture can be made. */
  ready: boolean;
  queue: { capacity: number; estimatedMs: number };
  /** Jobs that are not over. */
  jobs: Readonly<Record<"queued" | "running", number>>;
  /** Absent until the engine is ready. */
  info?: EngineInfo;
  /** Absent until the engine is ready. */
  memory?: MemoryReport;
  faults: Readonly<FaultCounts>;
  /** Bytes of this process in memory. */
  residentBytes: number;
}

/** The page that `/metrics` answers with. */
export function metricsOf(measured: Measured, counted: readonly Family[] = []): string {
  return textOf([...familiesOf(measured), ...counted]);
}

function familiesOf({ ready, queue, jobs, info, memory, faults, residentBytes }: Measured): Family[] {
  const one = (type: Family["type"]) => (name: string, help: string, value: number): Family => ({
    name,
    help,
    type,
    samples: [{ value }],
  });
  const gauge = one("gauge"), counter = one("counter");
  const { recoveries, retries, ...kinds } = faults;
  const families: Family[] = [
    gauge("sd_ready", "Whether a picture can be made.", Number(ready)),
    {
      name: "sd_queue_jobs",
      help: "Jobs held, by whether they wait or run.",
      type: "gauge",
      samples: Object.entries(jobs).map(([state, value]) => ({ labels: { state }, value })),
    },
    gauge("sd_queue_capacity", "Jobs held at most.", queue.capacity),
    gauge("sd_queue_wait_seconds", "Until the jobs held now will be done, by estimate.", queue.estimatedMs / 1000),
    gauge("process_resident_memory_bytes", "Bytes of this process in memory.", residentBytes),
    gauge(
      "process_start_time_seconds",
      "When this process started, in seconds since 1970.",
      performance.timeOrigin / 1000,
    ),
    counter("process_cpu_seconds_total", "Processor time of this process.", processorSeconds()),
    facts("sd_build_info", "The programme and what it runs on.", { version, deno: Deno.version.deno }),
    ...info ? factsOf(info) : [],
    {
      name: "sd_engine_faults_total",
      help: "How often the device or the engine's Worker failed, by how.",
      type: "counter",
      samples: Object.entries(kinds).map(([kind, value]) => ({ labels: { kind }, value })),
    },
    counter("sd_engine_recoveries_total", "How often the engine went on with another device and Worker.", recoveries),
    counter("sd_job_retries_total", "Jobs that were begun again after such a failure.", retries),
  ];
  if (!memory) return families;
  const { budget, peak, bytes, residents, evictions } = memory;
  if (budget !== undefined) {
    families.push(gauge("sd_device_memory_budget_bytes", "Device memory that may be used at once.", budget));
  }
  families.push({
    name: "sd_device_memory_bytes",
    help: "Device memory in use by what it is for.",
    type: "gauge",
    samples: Object.entries(bytes).map(([kind, value]) => ({ labels: { kind }, value })),
  });
  families.push(gauge("sd_device_memory_peak_bytes", "The most device memory there was in use at once.", peak));
  families.push({
    name: "sd_resident_bytes",
    help: "Weights by component, plans and states on the device; /health/ready has them one by one.",
    type: "gauge",
    samples: residentKinds.map((kind) => {
      const value = residents.reduce((sum, one) => one.kind === kind ? sum + one.bytes : sum, 0);
      return { labels: { kind }, value };
    }),
  });
  families.push(counter("sd_evictions_total", "How often something was given up to make room.", evictions));
  return families;
}

function factsOf({ model, adapter, precision, timing }: EngineInfo): Family[] {
  const { name, backend, software } = adapter;
  return [
    facts("sd_adapter_info", "What pictures are made on.", { name, backend, software: `${software}`, precision }),
    facts("sd_model_info", "The model where a request names none.", { name: model.name }),
    {
      name: "sd_start_seconds",
      help: "What the engine took to start, by stage.",
      type: "gauge",
      samples: Object.entries(timing).map(([stage, ms]) => ({ labels: { stage }, value: ms / 1000 })),
    },
  ];
}

/** What is known in words, as labels of a sample that is always 1. */
function facts(name: string, help: string, labels: Labels): Family {
  return { name, help, type: "gauge", samples: [{ labels, value: 1 }] };
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage(); // microseconds
  return (user + system) / 1e6;
}
