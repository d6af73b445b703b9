/**
 * WGSL as text: the two rewritings a kernel file allows, and what its declarations say of its bindings.
 * The file on disk is WGSL with working defaults; nothing else is ever changed in it.
 */

/** Values for a kernel's `const` and `alias` declarations, by name. */
export type Constants = Readonly<Record<string, number | string>>;

/** One `@binding` of a kernel. */
export interface Binding {
  index: number;
  name: string;
  layout: Omit<GPUBindGroupLayoutEntry, "binding" | "visibility">;
}

/** One field of a kernel's `Shape`, every one 4 bytes wide. */
export interface Field {
  name: string;
  type: "u32" | "i32" | "f32";
}

/**
 * Replaces the right side of the named declarations, unrolls, and enables f16 where some alias is f16.
 * @throws {RangeError} when the source declares no such name.
 */
export function specialise(source: string, constants: Constants): string {
  for (const [name, value] of Object.entries(constants)) {
    const declaration = new RegExp(`^(const|alias) ${name}\\s*=\\s*[^;]*;`, "m");
    const found = declaration.exec(source);
    if (!found) throw new RangeError(`Cannot specialise ${name}: the kernel declares no const or alias of that name`);
    const literal = typeof value === "number" && /=\s*\d+u/.test(found[0]) ? `${value}u` : String(value);
    source = source.replace(declaration, `${found[1]} ${name} = ${literal};`);
  }
  const enable = /^alias \w+ = (vec4<)?f16\b/m.test(source) ? "enable f16;\n" : "";
  return enable + unroll(source, constantValues(source));
}

/** Every integer `const` of the source, evaluated; later ones may use earlier ones. */
function constantValues(source: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const [, name, expression] of source.matchAll(/^const (\w+)\s*=\s*([^;]*);/gm)) {
    const value = evaluate(expression, values);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** An integer expression of +, -, *, /, % and parentheses over known names, or undefined. */
function evaluate(expression: string, values: ReadonlyMap<string, number>): number | undefined {
  const cleaned = expression.replace(/\b(\d+)u\b/g, "$1");
  if (!/^[\w\s+\-*/%()]+$/.test(cleaned)) return undefined;
  const tokens = cleaned.match(/\w+|[-+*/%()]/g) ?? [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++];
    if (token !== "(") return /^\d+$/.test(token) ? Number(token) : values.get(token) ?? NaN;
    const inner = sum();
    at++; // ")"
    return inner;
  };
  const product = (): number => {
    let left = atom();
    while (["*", "/", "%"].includes(tokens[at])) {
      const operator = tokens[at++], right = atom();
      left = operator === "*" ? left * right : operator === "/" ? Math.floor(left / right) : left % right;
    }
    return left;
  };
  const sum = (): number => {
    let left = product();
    while (["+", "-"].includes(tokens[at])) left += tokens[at++] === "+" ? product() : -product();
    return left;
  };
  const value = sum();
  return Number.isFinite(value) ? value : undefined;
}

/**
 * Writes out every loop under an `// unroll` comment, one braced copy of its body for each value of its counter.
 * Register tiles need it: a software driver keeps an array in registers only where every index is a literal
 * (measured: 4 to 10 times faster), and `subgroupShuffle` is one instruction only with a literal lane.
 */
function unroll(source: string, values: ReadonlyMap<string, number>): string {
  const loop = /\/\/ unroll\s*\n\s*for \(var (\w+) = 0u; \1 < ([^;]+); \1\+\+\) \{/;
  for (let found = loop.exec(source); found; found = loop.exec(source)) {
    const [head, counter, bound] = found;
    const count = evaluate(bound, values);
    if (count === undefined) {
      throw new RangeError(`Cannot unroll over ${counter} < ${bound}: the bound is not constant`);
    }
    const start = found.index + head.length;
    const end = closingBrace(source, start);
    const body = source.slice(start, end);
    const name = new RegExp(`\\b${counter}\\b`, "g");
    const copies = Array.from({ length: count }, (_, i) => `{${body.replace(name, `${i}u`)}}`).join("\n");
    source = source.slice(0, found.index) + copies + source.slice(end + 1);
  }
  return source;
}

function closingBrace(source: string, start: number): number {
  for (let at = start, depth = 1; at < source.length; at++) {
    if (source[at] === "{") depth++;
    else if (source[at] === "}" && --depth === 0) return at;
  }
  throw new SyntaxError("Cannot unroll: a loop's brace is never closed");
}

/** The bindings a kernel declares, in order. */
export function bindings(source: string): Binding[] {
  const declaration = /@group\(0\) @binding\((\d+)\)\s+var(?:<([^>]*)>)?\s+(\w+)\s*:\s*([^;]+);/g;
  const found = [...source.matchAll(declaration)].map(([, index, space, name, type]): Binding => {
    const layout = bindingLayout(space?.replaceAll(" ", ""), resolve(type.trim(), source));
    return { index: Number(index), name, layout };
  });
  return found.sort((a, b) => a.index - b.index);
}

function resolve(type: string, source: string): string {
  return new RegExp(`^alias ${type.replace(/\W/g, "\\$&")} = ([^;]+);`, "m").exec(source)?.[1].trim() ?? type;
}

function bindingLayout(space: string | undefined, type: string): Binding["layout"] {
  const texture = /^texture_storage_2d<(\w+), *(\w+)>$/.exec(type);
  if (texture) {
    const access = texture[2] === "read" ? "read-only" : "write-only";
    return { storageTexture: { format: texture[1] as GPUTextureFormat, access } };
  }
  if (space === "uniform") return { buffer: { type: "uniform" } };
  return { buffer: { type: space === "storage,read_write" ? "storage" : "read-only-storage" } };
}

/** The fields of `struct Shape`, in order; empty where a kernel has none. */
export function shapeFields(source: string): Field[] {
  const body = /struct Shape \{([^}]*)\}/.exec(source)?.[1] ?? "";
  const fields = body.replace(/\/\/.*$/gm, "");
  return [...fields.matchAll(/(\w+)\s*:\s*(u32|i32|f32)/g)].map(([, name, type]) => ({
    name,
    type: type as Field["type"],
  }));
}
