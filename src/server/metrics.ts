/** What is counted, in the text format of Prometheus (version 0.0.4). */
import type { FaultCounts } from "../engine/client.ts";
import type { MemoryReport } from "../engine/protocol.ts";

/** One family of samples. */
interface Family {
  name: string;
  help: string;
  type: "gauge" | "counter";
  samples: { labels?: Record<string, string>; value: number }[];
}

/** What the metrics are made from. */
export interface Measured {
  /** Whether a picture can be made. */
  ready: boolean;
  queue: { length: number; capacity: number };
  /** Absent until the engine is ready. */
  memory?: MemoryReport;
  faults: Readonly<FaultCounts>;
  /** Bytes of this process in memory. */
  residentBytes: number;
}

/** The page that `/metrics` answers with. */
export function metricsOf(measured: Measured): string {
  return familiesOf(measured).map(({ name, help, type, samples }) => {
    const lines = samples.map(({ labels = {}, value }) => `${name}${labelsOf(labels)} ${value}`);
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
  }).join("");
}

function familiesOf({ ready, queue, memory, faults, residentBytes }: Measured): Family[] {
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
    gauge("sd_queue_jobs", "Jobs held, the running one included.", queue.length),
    gauge("sd_queue_capacity", "Jobs held at most.", queue.capacity),
    gauge("process_resident_memory_bytes", "Bytes of this process in memory.", residentBytes),
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
    help: "Components, plans and states on the device.",
    type: "gauge",
    samples: residents.map(({ name, bytes }) => ({ labels: { name }, value: bytes })),
  });
  families.push(counter("sd_evictions_total", "How often something was given up to make room.", evictions));
  return families;
}

function labelsOf(labels: Record<string, string>): string {
  const list = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return list.length > 0 ? `{${list.join(",")}}` : "";
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}
