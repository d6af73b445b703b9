/** As much YAML as the configs beside single files need: one text in nested mappings. */

/**
 * The text at `path`, keys from the outermost in, or undefined where there is none: plain, in quotes, without a comment.
 * A mapping at `path` is the empty text. Understood are block mappings; lists and all else are passed over.
 * @example yamlText("model:\n  params:\n    parameterization: \"v\" # not eps", ["model", "params", "parameterization"]) // "v"
 */
export function yamlText(text: string, path: readonly string[]): string | undefined {
  const open: { key: string; indent: number }[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^( *)(?:"([^"]+)"|'([^']+)'|([\w.-]+))\s*:(?:\s+(.*))?$/.exec(line);
    if (!match) continue;
    const [, { length: indent }, double, single, plain, value = ""] = match;
    while (open.length > 0 && open[open.length - 1].indent >= indent) open.pop();
    open.push({ key: double ?? single ?? plain, indent });
    if (open.length === path.length && open.every(({ key }, i) => key === path[i])) return scalar(value);
  }
}

function scalar(value: string): string {
  const quoted = /^"([^"]*)"|^'([^']*)'/.exec(value);
  return quoted ? quoted[1] ?? quoted[2] : value.replace(/(^|\s)#.*$/, "").trim();
}
