/** What counts and what measures, as families of samples in Prometheus' sense. */

/** Labels of a sample, by name. */
export type Labels = Readonly<Record<string, string>>;

/** One family of samples. */
export interface Family {
  name: string;
  help: string;
  type: "gauge" | "counter" | "histogram";
  /** `suffix` is what a histogram's samples have behind the family's name. */
  samples: { suffix?: string; labels?: Labels; value: number }[];
}

interface Described {
  name: string;
  help: string;
}

/** How often something happened, by labels; their values must be few. */
export class Counter {
  readonly #values = new Map<string, { labels: Labels; value: number }>();

  /** What `known` lists is there from the start, at 0, so that a first increase is seen as one. */
  constructor(readonly described: Described, known: readonly Labels[] = []) {
    for (const labels of known) this.add(labels, 0);
  }

  add(labels: Labels = {}, by = 1): void {
    const key = JSON.stringify(labels), entry = this.#values.get(key);
    if (entry) entry.value += by;
    else this.#values.set(key, { labels, value: by });
  }

  get family(): Family {
    return { ...this.described, type: "counter", samples: [...this.#values.values()] };
  }
}

/** How large something was, by labels: counts up to each of the bounds, which rise, and the sum. */
export class Histogram {
  readonly #series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();

  constructor(readonly described: Described, readonly bounds: readonly number[]) {}

  observe(value: number, labels: Labels = {}): void {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (!series) {
      series = { labels, counts: Array(this.bounds.length + 1).fill(0), sum: 0 };
      this.#series.set(key, series);
    }
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    series.counts[bucket < 0 ? this.bounds.length : bucket]++;
    series.sum += value;
  }

  get family(): Family {
    const samples = [...this.#series.values()].flatMap(({ labels, counts, sum }) => {
      let count = 0;
      const buckets = [...this.bounds, Infinity].map((bound, i) => {
        const le = numberOf(bound);
        return { suffix: "_bucket", labels: { ...labels, le }, value: count += counts[i] };
      });
      return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: count }];
    });
    return { ...this.described, type: "histogram", samples };
  }
}

/** Families in the text format of Prometheus, version 0.0.4. */
export function textOf(families: readonly Family[]): string {
  return families.map(({ name, help, type, samples }) => {
    const lines = samples.map(({ suffix = "", labels = {}, value }) => {
      return `${name}${suffix}${labelsOf(labels)} ${numberOf(value)}`;
    });
    const said = help.replace(/[\\\n]/g, escaped);
    return [`# HELP ${name} ${said}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
  }).join("");
}

function labelsOf(labels: Labels): string {
  const list = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return list.length > 0 ? `{${list.join(",")}}` : "";
}

function escaped(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}

function numberOf(value: number): string {
  return Number.isFinite(value) ? `${value}` : Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
