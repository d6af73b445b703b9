/** A request's fields: from its query and, for POST, from a JSON body or a form. */
import { Refusal } from "./errors.ts";
import { parseMultipart } from "./multipart.ts";

/** Largest body that is read. */
export const maxBodyBytes = 16 << 20;

/** Bodies that would do, in words. */
const jsonSample = '{"prompt": "…"}';
const formSample = "one as curl -F sends it";

/**
 * Every field by its name: text from a query or form, bytes for an uploaded file, JSON values as they are. A field that
 * is given more than once is an array, which no parser accepts.
 *
 * @throws Refusal
 */
export async function readFields(request: Request): Promise<Map<string, unknown>> {
  const given = new Map<string, unknown[]>();
  const add = ([name, value]: [string, unknown]) => {
    const values = given.get(name);
    if (values) values.push(value);
    else given.set(name, [value]);
  };
  new URL(request.url).searchParams.forEach((value, name) => add([name, value]));
  if (request.method === "POST") (await readBody(request)).forEach(add);
  return new Map(Array.from(given, ([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

async function readBody(request: Request): Promise<[string, unknown][]> {
  const type = request.headers.get("content-type") ?? "";
  const bytes = await readBytes(request);
  if (bytes.length === 0) return [];
  switch (type.split(";")[0].trim().toLowerCase()) {
    case "application/json":
      return parseJson(bytes);
    case "application/x-www-form-urlencoded":
      return [...new URLSearchParams(new TextDecoder().decode(bytes))];
    case "multipart/form-data":
      return parseForm(bytes, type);
    default: {
      const wanted = "application/json, multipart/form-data or application/x-www-form-urlencoded would do";
      const found = type ? `of type ${JSON.stringify(type.slice(0, 80))}` : "without a type";
      throw new Refusal("unsupported_media_type", `The body is ${found}, ${wanted}`);
    }
  }
}

/** The body, as long as it keeps within the limit; what comes after it is not read. */
async function readBytes(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const message = `The body has more than ${maxBodyBytes >> 20} MiB, a smaller one would do`;
  if (Number(request.headers.get("content-length")) > maxBodyBytes) throw new Refusal("body_too_large", message);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > maxBodyBytes) throw new Refusal("body_too_large", message);
    pieces.push(piece);
  }
  return await new Blob(pieces).bytes();
}

function parseJson(bytes: Uint8Array): [string, unknown][] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(`is not JSON (${error instanceof Error ? error.message : error})`, jsonSample);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed("is JSON but no object", jsonSample);
  }
  return Object.entries(value);
}

function parseForm(bytes: Uint8Array<ArrayBuffer>, type: string): [string, unknown][] {
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
  if (!boundary) throw malformed("is a form, but its type names no boundary", formSample);
  try {
    const parts = parseMultipart(bytes, boundary[1] ?? boundary[2]);
    return parts.map((
      { name, filename, data },
    ) => [name, filename === undefined ? new TextDecoder().decode(data) : data]);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(`is not a form: ${error.message}`, formSample);
    throw error;
  }
}

function malformed(what: string, sample: string): Refusal {
  return new Refusal("malformed_body", `The body ${what.replace(/\s+/g, " ")}, ${sample} would do`);
}
