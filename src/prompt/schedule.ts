/**
 * Prompts that change on the way, as A1111 writes them: `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b]`.
 *
 * The grammar is A1111's. A bracket that stands for nothing of it is an ordinary character; a `|` outside of `[…]`, or a
 * backslash with nothing to escape, makes the whole prompt plain.
 */
import { SPACE } from "./text.ts";

/** A prompt's text up to and including the step `until`. */
export interface ScheduleEntry {
  until: number;
  text: string;
}

/** How many steps a prompt is spread over. */
export interface ScheduleSteps {
  /** Model calls of the run, 1 or more: second-order samplers have two a step. */
  steps: number;
  /**
   * Model calls of the run before this one, where this is the second pass of a picture: there a `when` counts on from the
   * first, as a fraction from 1.0 and as a step from this number.
   */
  firstPass?: number;
}

/** A prompt after parsing: text that never changes, a group, or one of the two that change. */
type Part = string | Part[] | Scheduled | Alternate;
interface Scheduled {
  kind: "scheduled";
  before: Part;
  after: Part;
  when: string;
}
interface Alternate {
  kind: "alternate";
  options: Part[];
}

/** A bracket not closed yet, with what it holds so far: one more segment than separators. */
interface Frame {
  open: "(" | "[";
  segments: Part[][];
  separators: string[];
}

const whenPattern = new RegExp(
  `^[${SPACE}]*([+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?)[${SPACE}]*$`,
);

/**
 * The texts of a prompt by steps: in the order of `until`, the last of which is `steps`. Of a prompt without any schedule
 * that is one entry with the prompt itself. A `when` with a point is a share of the steps, another the number of a step.
 * Takes a time that is linear in the prompt's length for each entry, and never throws.
 * @example scheduleOf("a [cat:dog:0.25]", { steps: 20 }) // [{ until: 5, text: "a cat" }, { until: 20, text: "a dog" }]
 */
export function scheduleOf(prompt: string, { steps, firstPass }: ScheduleSteps): ScheduleEntry[] {
  const root = parse(prompt);
  if (root === undefined) return [{ until: steps, text: prompt }];
  const stepOf = (when: string) => {
    const value = Number(when);
    const step = when.includes(".") ? (value - (firstPass === undefined ? 0 : 1)) * steps : value - (firstPass ?? 0);
    return Math.min(steps, Math.trunc(step));
  };
  const ends = new Set([steps]);
  for (const part of walk(root, (part) => childrenOf(part))) {
    if (typeof part === "string" || Array.isArray(part)) continue;
    if (part.kind === "alternate") { for (let step = 1; step <= steps; step++) ends.add(step); }
    else if (stepOf(part.when) >= 1) ends.add(stepOf(part.when));
  }
  const textAt = (step: number) => {
    let text = "";
    const chosen = (part: Part): readonly Part[] => {
      if (typeof part === "string") return [];
      if (Array.isArray(part)) return part;
      if (part.kind === "scheduled") return [step <= stepOf(part.when) ? part.before : part.after];
      return [part.options[(step - 1) % part.options.length]];
    };
    for (const part of walk(root, chosen)) if (typeof part === "string") text += part;
    return text;
  };
  return [...ends].sort((a, b) => a - b).map((until) => ({ until, text: textAt(until) }));
}

/** The parts from `root` on, depth first and in order; without recursion, for brackets may be nested thousands deep. */
function* walk(root: Part, below: (part: Part) => readonly Part[]): Generator<Part> {
  const rest = [root];
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    yield part;
    const parts = below(part);
    for (let i = parts.length - 1; i >= 0; i--) rest.push(parts[i]);
  }
}

function childrenOf(part: Part): readonly Part[] {
  if (typeof part === "string") return [];
  if (Array.isArray(part)) return part;
  return part.kind === "scheduled" ? [part.before, part.after] : part.options;
}

/** The prompt's parts; undefined where the grammar has no place for it. */
function parse(prompt: string): Part[] | undefined {
  const top: Part[] = [];
  const frames: Frame[] = [];

  const add = (part: Part) => (frames.at(-1)?.segments.at(-1) ?? top).push(part);
  /** What is open will not become anything: its brackets are characters. False where it holds a `|`. */
  const flatten = (): boolean => {
    for (const { open, segments, separators } of frames) {
      if (separators.includes("|")) return false;
      top.push(open);
      for (const [i, segment] of segments.entries()) top.push(separators[i - 1] ?? "", segment);
    }
    frames.length = 0;
    return true;
  };

  for (let at = 0; at < prompt.length;) {
    const mark = prompt[at];
    switch (mark) {
      case "(":
      case "[":
        frames.push({ open: mark, segments: [[]], separators: [] });
        at++;
        break;
      case ")":
      case "]": {
        const closed = frames.length > 0 ? close(frames.at(-1)!, mark) : undefined;
        if (closed) frames.pop();
        else if (!flatten()) return undefined;
        add(closed ?? mark);
        at++;
        break;
      }
      case ":":
      case "|": {
        const frame = frames.at(-1);
        if (frame) {
          frame.separators.push(mark);
          frame.segments.push([]);
        } else if (mark === "|") return undefined;
        else add(mark);
        at++;
        break;
      }
      default: {
        const end = plainEnd(prompt, at);
        if (end === undefined) return undefined;
        add(prompt.slice(at, end));
        at = end;
      }
    }
  }
  return flatten() ? top : undefined;
}

/** Where the plain text from `at` on ends; undefined where a backslash in it escapes nothing. */
function plainEnd(prompt: string, at: number): number | undefined {
  for (; at < prompt.length && !"[]():|".includes(prompt[at]); at++) {
    if (prompt[at] !== "\\") continue;
    at++;
    if (at === prompt.length || prompt[at] === "\n") return undefined;
  }
  return at;
}

/** What a bracket becomes that `mark` closes; undefined where the two, or what is between them, are not of the grammar. */
function close({ open, segments, separators }: Frame, mark: ")" | "]"): Part | undefined {
  const count = separators.length;
  if (open === "(") {
    if (mark !== ")" || count > 1 || separators.includes("|")) return undefined;
    return ["(", segments[0], ...(count ? [":", segments[1]] : []), ")"];
  }
  if (mark !== "]") return undefined;
  if (count === 0) return ["[", segments[0], "]"];
  if (!separators.includes(":")) return { kind: "alternate", options: segments };
  const last = segments[count], when = last.length === 1 && typeof last[0] === "string" && whenPattern.exec(last[0]);
  if (!when || count > 2 || separators.includes("|")) return undefined;
  return { kind: "scheduled", before: count === 2 ? segments[0] : [], after: segments[count - 1], when: when[1] };
}
