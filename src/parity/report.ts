/** What a run found, as a table to read or an object to store. */
import type { Precision } from "../engine/protocol.ts";
import type { Finding } from "./run.ts";

/** Comparisons of one kind that may be off by as much. */
export interface Row {
  group: string;
  /** Absent where there is only one: ids, and what is always f32. */
  dtype?: Precision;
  cases: number;
  comparisons: number;
  /** The largest error; null where it is not finite. */
  worst: number | null;
  /** Where it is. */
  worstCase: string;
  tolerance: number;
  ok: boolean;
}

/** A comparison over its tolerance, or a case that failed before it could compare. */
export interface Failed {
  id: string;
  dtype?: Precision;
  message: string;
}

export interface Report {
  /** What it ran on; absent where no case needed a GPU. */
  device?: string;
  rows: Row[];
  failed: Failed[];
  skipped: { reason: string; cases: string[] }[];
  /** Whether nothing failed and something was compared. */
  passed: boolean;
}

/** As many failures are listed for people; JSON has all. */
const shownFailures = 40;

/** Sums up what a run yielded. */
export function summarise(findings: readonly Finding[]): Report {
  const measures = findings.filter((finding) => finding.type === "measure");
  const groups = Map.groupBy(measures, ({ group, precision, tolerance }) => `${group} ${precision} ${tolerance}`);
  const rows = [...groups.values()].map(rowOf);
  const failed = findings.flatMap((finding): Failed[] => {
    if (finding.type === "failure") return [{ id: finding.id, dtype: finding.precision, message: finding.message }];
    if (finding.type !== "measure" || finding.error <= finding.tolerance) return [];
    const { id, precision, what, group, error, tolerance } = finding;
    const output = what ? `${group}, ${what}` : group;
    return [{ id, dtype: precision, message: `${output}: ${short(error)}, tolerance ${short(tolerance)}` }];
  });
  const skips = Map.groupBy(findings.filter((finding) => finding.type === "skip"), ({ reason }) => reason);
  const skipped = [...skips].map(([reason, cases]) => ({
    reason,
    cases: [...new Set(cases.map(({ id }) => id))], // each precision skips it
  }));
  const device = findings.find((finding) => finding.type === "device")?.name;
  return { device, rows, failed, skipped, passed: failed.length === 0 && rows.length > 0 };
}

function rowOf(measures: readonly Extract<Finding, { type: "measure" }>[]): Row {
  const [{ group, precision, tolerance }] = measures;
  // A NaN is not smaller than anything, so it stays.
  const worst = measures.reduce((worst, one) => worst.error >= one.error || Number.isNaN(worst.error) ? worst : one);
  return {
    group,
    dtype: precision,
    cases: new Set(measures.map(({ id }) => id)).size,
    comparisons: measures.length,
    worst: Number.isFinite(worst.error) ? worst.error : null,
    worstCase: worst.what ? `${worst.id} ${worst.what}` : worst.id,
    tolerance,
    ok: worst.error <= tolerance,
  };
}

/** The report for people, without a line break at its end. */
export function formatReport({ device, rows, failed, skipped, passed }: Report): string {
  const cells = rows.map(({ group, dtype = "", cases, worst, worstCase, tolerance, ok }) => [
    group,
    dtype,
    String(cases),
    worst === null ? "not finite" : short(worst),
    short(tolerance),
    ok ? "ok" : "FAIL",
    worst === 0 ? "" : worstCase,
  ]);
  const lines = table([["group", "dtype", "cases", "worst error", "tolerance", "", "of"], ...cells], [2, 3, 4]);
  if (failed.length > 0) {
    lines.push(
      "",
      "Failed:",
      ...failed.slice(0, shownFailures).map(({ id, dtype = "", message }) =>
        `  ${`${id} ${dtype}`.trimEnd()}: ${message}`
      ),
      ...failed.length > shownFailures ? [`  and ${failed.length - shownFailures} more`] : [],
    );
  }
  if (skipped.length > 0) lines.push("", "Skipped:", ...skipped.map(skipLine));
  const comparisons = rows.reduce((sum, row) => sum + row.comparisons, 0);
  const verdict = passed
    ? "all within tolerance"
    : rows.length > 0
    ? `${failed.length} failed`
    : "nothing was compared";
  lines.push("", `${comparisons} comparisons${device ? ` on ${device}` : ""}: ${verdict}`);
  return lines.join("\n");
}

function skipLine({ reason, cases }: Report["skipped"][number]): string {
  const shown = cases.slice(0, 3).join(", ");
  return `  ${cases.length} × ${reason} (${shown}${cases.length > 3 ? ", …" : ""})`;
}

/** Rows of cells in aligned columns; those in `right` are aligned to the right. */
function table(rows: readonly string[][], right: readonly number[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell: string, i: number) => right.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]);
  return rows.map((row) => row.map(pad).join("  ").trimEnd());
}

/** Two digits: 0, 0.2, 3, 1.2e-6. */
function short(value: number): string {
  if (value === 0 || (value >= 0.1 && value < 1000)) return String(Number(value.toPrecision(2)));
  return value.toExponential(1);
}
