/** What is counted, in the text format of Prometheus (version 0.0.4). */
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

function familiesOf({ ready, queue, memory, residentBytes }: Measured): Family[] {
  const gauge = (name: string, help: string, value: number): Family => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }],
  });
  const families = [
    gauge("sd_ready", "Whether a picture can be made.", Number(ready)),
    gauge("sd_queue_jobs", "Jobs held, the running one included.", queue.length),
    gauge("sd_queue_capacity", "Jobs held at most.", queue.capacity),
    gauge("process_resident_memory_bytes", "Bytes of this process in memory.", residentBytes),
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
  families.push({
    name: "sd_evictions_total",
    help: "How often something was given up to make room.",
    type: "counter",
    samples: [{ value: evictions }],
  });
  return families;
}

function labelsOf(labels: Record<string, string>): string {
  const list = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return list.length > 0 ? `{${list.join(",")}}` : "";
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}
