/** Prometheus' text format, version 0.0.4, read as strictly as its description allows. */
import assert from "node:assert/strict";

export interface ReadFamily {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"/;
const sample = new RegExp(`^([a-zA-Z_:][\\w:]*)(?:\\{(${label.source}(?:,${label.source})*)\\})? (\\S+)$`);

/** The families of a page by name. Fails where a scraper might. */
export function readExposition(page: string): Map<string, ReadFamily> {
  assert.ok(page.endsWith("\n"), "the last line ends with a line feed");
  const families = new Map<string, ReadFamily>();
  let current: ReadFamily | undefined, currentName = "";
  for (const line of page.slice(0, -1).split("\n")) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      assert.ok(!families.has(name), `${name} is described once`);
      families.set(name, current = { help: rest, type: "", samples: [] });
      currentName = name;
    } else if (kind === "TYPE") {
      assert.equal(name, currentName, "a type follows its help");
      assert.match(rest, /^(gauge|counter|histogram)$/);
      current!.type = rest;
    } else {
      const [, name, labels = ""] = sample.exec(line) ?? assert.fail(`no sample: ${line}`);
      const histogram = current!.type === "histogram" ? /_(bucket|sum|count)$/ : /$^/;
      assert.equal(name.replace(histogram, ""), currentName, "samples follow their family");
      const pairs = Array.from(labels.matchAll(new RegExp(label, "g")), ([, key, value]): [string, string] => {
        return [key, value.replace(/\\(.)/g, (_, character) => character === "n" ? "\n" : character)];
      });
      const text = line.slice(line.lastIndexOf(" ") + 1);
      const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
      assert.ok(text === "NaN" || !Number.isNaN(value), line);
      current!.samples.push({ name, labels: Object.fromEntries(pairs), value });
    }
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function check(name: string, { type, samples }: ReadFamily): void {
  const seen = new Set(samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).toSorted()])));
  assert.equal(seen.size, samples.length, `${name}: no sample twice`);
  if (type === "counter") {
    assert.ok(name.endsWith("_total") && samples.every(({ value }) => value >= 0), `${name} is a counter`);
  } else assert.ok(!name.endsWith("_total"), `${name} is no counter`);
  if (type !== "histogram") return;
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const members of series.values()) {
    const buckets = members.filter((member) => member.name.endsWith("_bucket"));
    const bounds = buckets.map(({ labels: { le } }) => le === "+Inf" ? Infinity : Number(le));
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(bounds, bounds.toSorted((a, b) => a - b), `${name}: bounds rise`);
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b), `${name}: counts are of all up to the bound`);
    assert.equal(bounds.at(-1), Infinity);
    assert.equal(members.find((member) => member.name.endsWith("_count"))!.value, counts.at(-1));
    assert.ok(members.some((member) => member.name.endsWith("_sum")));
  }
}
