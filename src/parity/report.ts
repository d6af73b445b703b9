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
  /** The largest error; null where one is not a number. */
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
  rows: Row[];
  failed: Failed[];
  skipped: { reason: string; cases: string[] }[];
  /** Whether nothing failed and something was compared. */
  passed: boolean;
}

/** Sums up what a run yielded. */
export function summarise(findings: readonly Finding[]): Report {
  const measures = findings.filter((finding) => finding.type === "measure");
  const rows = [
    ...Map.groupBy(measures, ({ group, precision, tolerance }) => `${group} ${precision} ${tolerance}`).values(),
  ]
    .map((group): Row => {
      const { group: name, precision, tolerance } = group[0];
      // A NaN is not smaller than anything, so it stays.
      const worst = group.reduce((worst, one) => worst.error >= one.error || Number.isNaN(worst.error) ? worst : one);
      return {
        group: name,
        dtype: precision,
        cases: new Set(group.map(({ id }) => id)).size,
        comparisons: group.length,
        worst: Number.isNaN(worst.error) ? null : worst.error,
        worstCase: worst.what ? `${worst.id} ${worst.what}` : worst.id,
        tolerance,
        ok: worst.error <= tolerance,
      };
    });
  const failed = findings.flatMap((finding): Failed[] => {
    if (finding.type === "failure") return [{ id: finding.id, dtype: finding.precision, message: finding.message }];
    if (finding.type === "skip" || finding.error <= finding.tolerance) return [];
    const { id, precision, what, group, error, tolerance } = finding;
    const message = `${[group, what].filter(Boolean).join(", ")}: ${scientific(error)}, tolerance ${
      scientific(tolerance)
    }`;
    return [{ id, dtype: precision, message }];
  });
  const skips = findings.filter((finding) => finding.type === "skip");
  const skipped = [...Map.groupBy(skips, ({ reason }) => reason)].map(([reason, cases]) => ({
    reason,
    cases: [...new Set(cases.map(({ id }) => id))], // each precision skips it
  }));
  return { rows, failed, skipped, passed: failed.length === 0 && rows.length > 0 };
}

/** The report for people, without a line break at its end. */
export function formatReport({ rows, failed, skipped, passed }: Report): string {
  const cells = rows.map(({ group, dtype = "", cases, worst, worstCase, tolerance, ok }) => [
    group,
    dtype,
    String(cases),
    worst === null ? "NaN" : scientific(worst),
    scientific(tolerance),
    ok ? "ok" : "FAIL",
    worst === 0 ? "" : worstCase,
  ]);
  const lines = table([["group", "dtype", "cases", "worst error", "tolerance", "", "of"], ...cells], [2, 3, 4]);
  if (failed.length > 0) {
    lines.push(
      "",
      "Failed:",
      ...failed.map(({ id, dtype, message }) => `  ${[id, dtype].filter(Boolean).join(" ")}: ${message}`),
    );
  }
  if (skipped.length > 0) lines.push("", "Skipped:", ...skipped.map(skipLine));
  const comparisons = rows.reduce((sum, row) => sum + row.comparisons, 0);
  const verdict = passed
    ? "all within tolerance"
    : rows.length > 0
    ? `${failed.length} failed`
    : "nothing was compared";
  lines.push("", `${comparisons} comparisons: ${verdict}`);
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
function scientific(value: number): string {
  if (value === 0 || (value >= 0.1 && value < 1000)) return String(Number(value.toPrecision(2)));
  return value.toExponential(1);
}
