/** The document as a page to read: no script, nothing from elsewhere. */
import type { Schema } from "./schemas.ts";

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif;
  --card: light-dark(#fff, #1d2026); --soft: light-dark(#565e6c, #a3abb8); --faint: light-dark(#dfe3e9, #2e333c); }
body { max-width: 64rem; margin: 0 auto; padding: 1rem;
  background: light-dark(#f6f7f9, #14161a); color: light-dark(#1b1f27, #e8eaee); }
a { color: light-dark(#3550c8, #9db2ff); }
h1 { margin: .5rem 0 0; font-size: 1.5rem; }
section { margin: 1rem 0; padding: .3rem 1rem; background: var(--card); border: 1px solid var(--faint); border-radius: .75rem; }
h2 { margin: .6rem 0; font-size: 1.15rem; }
details { border-top: 1px solid var(--faint); }
summary { padding: .5rem 0 .5rem 1.1rem; text-indent: -1.1rem; color: var(--soft); cursor: pointer; }
summary code { margin-right: .5rem; color: light-dark(#1b1f27, #e8eaee); font-weight: 600; overflow-wrap: anywhere; }
code, td:first-child { font-family: ui-monospace, monospace; font-size: .92rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1rem; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--faint); }
th { color: var(--soft); font-weight: 600; }
.scroll { overflow-x: auto; }
`;

type Named = Record<string, Schema>;

/** The page's HTML. */
export function page(document: Schema): string {
  const { info, paths, components } = document as {
    info: Schema;
    paths: Record<string, Named>;
    components: { schemas: Named };
  };
  const tags = new Map<string, string[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const [tag] = operation.tags as string[];
      tags.set(tag, [...(tags.get(tag) ?? []), operationOf(method, path, operation, components.schemas)]);
    }
  }
  const sections = Array.from(tags, ([tag, parts]) => `<section><h2>${escape(tag)}</h2>${parts.join("")}</section>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(info.title)}: API</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(info.title)} ${escape(info.version)}</h1>
<p>The same as <a href="/openapi.json">an OpenAPI document</a>. Pictures are made <a href="/">on a page</a>, too.</p>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

/** The page's own style, for a policy that allows no other. */
export const pageStyle: string = style;

function operationOf(method: string, path: string, operation: Schema, schemas: Named): string {
  const { summary, requestBody, parameters, responses } = operation as {
    summary: string;
    requestBody?: { content: Record<string, { schema: { $ref: string } }> };
    parameters?: { name: string; in: string; description?: string; schema: Schema }[];
    responses: Record<string, { description: string; content?: Schema }>;
  };
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const schema = content && schemas[content.schema.$ref.split("/").at(-1)!];
  const fields = Object.entries((schema?.properties ?? {}) as Named);
  const query = (parameters ?? []).map((
    { name, description, schema },
  ): [string, Schema] => [name, { ...schema, description }]);
  const codes = Object.entries(responses).map(([code, { description, content }]) => {
    return `<tr><td>${code}</td><td>${escape(description)}</td><td>${
      escape(Object.keys(content ?? {}).join(", "))
    }</td></tr>`;
  });
  return `<details><summary><code>${method.toUpperCase()} ${escape(path)}</code> ${escape(summary)}</summary>
${type ? `<p>Takes <code>${escape(Object.keys(requestBody!.content).join(", "))}</code></p>` : ""}
${tableOf(["field", "type", "default", ""], [...query, ...fields].map(rowOf))}
${tableOf(["status", "", "type"], codes)}
</details>`;
}

function rowOf([name, { description = "", default: absent, ...schema }]: [string, Schema]): string {
  const value = absent === undefined ? "" : JSON.stringify(absent);
  return `<tr><td>${escape(name)}</td><td>${escape(typeOf(schema))}</td><td>${escape(value)}</td><td>${
    escape(description)
  }</td></tr>`;
}

/** "integer, 1 to 150", or the names that there are. */
function typeOf(schema: Schema): string {
  const { type, enum: names, minimum, exclusiveMinimum, maximum, multipleOf } = schema;
  if (Array.isArray(names)) return names.join(", ");
  const from = minimum ?? (exclusiveMinimum === undefined ? undefined : `above ${exclusiveMinimum}`);
  const range = from === undefined ? "" : `, ${from} to ${maximum ?? "∞"}`;
  return `${Array.isArray(type) ? type.join(" or ") : type ?? "any"}${range}${
    multipleOf ? `, multiple of ${multipleOf}` : ""
  }`;
}

function tableOf(heads: string[], rows: string[]): string {
  if (rows.length === 0) return "";
  const head = heads.map((name) => `<th>${name}</th>`).join("");
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function escape(value: unknown): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return `${value}`.replace(/[&<>"]/g, (character) => entities[character]);
}
