/**
 * The text in which A1111 and its clients keep how a picture was made, under the keyword `parameters`: the prompt, a
 * line `Negative prompt: …`, and a last line `Steps: 20, Sampler: Euler a, …`.
 */

/** What an infotext says. Values are text; a value like 512x768 is a size. */
export interface Infotext {
  prompt: string;
  negativePrompt: string;
  /** In the order in which they are written. */
  parameters: Record<string, string>;
}

const parameterPattern = /\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g;
const negativeLabel = "Negative prompt:";

/**
 * Written so, that a prompt A1111 would not read back as it is (one with a line `Negative prompt:`, say) is repeated
 * exactly in a parameter of our own: `parseInfotext(writeInfotext(x))` is x.
 */
const exact = { prompt: "Exact prompt", negativePrompt: "Exact negative prompt" };

/** The infotext of a picture. An empty negative prompt has no line. */
export function writeInfotext({ prompt, negativePrompt, parameters }: Infotext): string {
  const write = (extra: Record<string, string>) => {
    const entries = Object.entries({ ...parameters, ...extra });
    const last = entries.map(([key, value]) => `${key}: ${quote(value)}`).join(", ");
    return [prompt, ...(negativePrompt === "" ? [] : [`${negativeLabel} ${negativePrompt}`]), last].join("\n");
  };
  const text = write({});
  const found = parseInfotext(text);
  if (found.prompt === prompt && found.negativePrompt === negativePrompt) return text;
  return write({ [exact.prompt]: JSON.stringify(prompt), [exact.negativePrompt]: JSON.stringify(negativePrompt) });
}

/** What an infotext says, read as A1111 reads it; the last line counts as parameters if it holds at least three. */
export function parseInfotext(text: string): Infotext {
  const lines = text.trim().split("\n");
  const found = [...lines.at(-1)!.matchAll(parameterPattern)];
  if (found.length >= 3) lines.pop();
  const parameters = Object.fromEntries(found.length < 3 ? [] : found.map(([, key, value]) => [key, unquote(value)]));

  const prompts: Record<"prompt" | "negativePrompt", string[]> = { prompt: [], negativePrompt: [] };
  let current = prompts.prompt;
  for (const line of lines.map((line) => line.trim())) {
    if (line.startsWith(negativeLabel)) current = prompts.negativePrompt;
    current.push(line.startsWith(negativeLabel) ? line.slice(negativeLabel.length).trim() : line);
  }
  const { [exact.prompt]: prompt, [exact.negativePrompt]: negativePrompt, ...others } = parameters;
  return {
    prompt: textOf(prompt) ?? prompts.prompt.join("\n"),
    negativePrompt: textOf(negativePrompt) ?? prompts.negativePrompt.join("\n"),
    parameters: others,
  };
}

/** A value as it stands in the last line: a JSON string where it would not end at the next comma. */
function quote(value: string): string {
  return /[,:\n]|^\s|\s$|^"/.test(value) || value === "" ? JSON.stringify(value) : value;
}

function unquote(value: string): string {
  return value.startsWith('"') ? textOf(value) ?? value : value;
}

/** The text that a JSON string stands for; undefined for anything else. */
function textOf(json: string | undefined): string | undefined {
  try {
    const value: unknown = json === undefined ? undefined : JSON.parse(json);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
