/** What is in a request's body: JSON or a form, as the fields that a request is made of. */
import { decodeFile, fileFields, isAddress, RequestError } from "../engine/request.ts";
import { parseMultipart } from "./multipart.ts";
import { Refusal } from "./refusal.ts";

/** A field's name and value: text, a file's bytes, or a value of JSON. */
export type Entry = [name: string, value: unknown];

/** More fields than any request for this server has. */
const maxFields = 100;
/** Characters of a text or a name that are kept: more than any field may have, so that what is cut is refused as it was. */
const keptLength = 32 << 10;
/** How deep lists and objects are kept, and how many values in them: more than any request of any surface has. */
const keptDepth = 8, keptValues = 20_000;
/** Names of fields that hold pictures as base64, or lists of such. */
const pictureNames = /^(init_images?|mask|images?|image\[\]|inputs|data)$/;
/** Largest urlencoded body: it takes the most time a byte and is the least fit for pictures. */
const maxUrlencodedBytes = 1 << 20;

/** Bodies that would do, in words. */
const jsonSample = '{"prompt": "…"}';
const formSample = "one as curl -F sends it";

/**
 * The fields of a body in order, small whatever the body was: texts no longer than any field may be, lists and objects
 * emptied below some depth or number of values, and pictures as their bytes where they are long.
 *
 * @param type the content-type as it was sent
 * @throws Refusal, or the RequestError of a picture that is no base64
 */
export function parseBody(bytes: Uint8Array<ArrayBuffer>, type: string): Entry[] {
  const entries = readEntries(bytes, type);
  if (entries.length > maxFields) throw malformed(`has ${entries.length} fields`, `${maxFields} or fewer`);
  let left = keptValues;
  return entries.map(([name, value]) => {
    // Addresses are fetched later, or refused.
    const isFile = typeof value === "string" && fileFields.some((file) => file === name) && !isAddress(value);
    if (isFile) return [name, decodeFile(value, name)];
    return [name.slice(0, keptLength), kept(value, name, 0)];
  });

  function kept(value: unknown, name: string, depth: number): unknown {
    if (typeof value === "string") return value.length > keptLength ? cut(value, name) : value;
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    const size = sizeOf(value), empty = depth === keptDepth || size > left;
    if (!empty) left -= size;
    if (Array.isArray(value)) return empty ? [] : value.map((each) => kept(each, name, depth + 1));
    if (empty) return {};
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key.slice(0, keptLength), kept(each, key, depth + 1)]),
    );
  }
}

function sizeOf(value: object): number {
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

/** A long text: the file that it is where a picture is expected, else its beginning. */
function cut(text: string, name: string): unknown {
  if (!pictureNames.test(name)) return text.slice(0, keptLength);
  try {
    return decodeFile(text);
  } catch (error) {
    if (error instanceof RequestError) return text.slice(0, keptLength);
    throw error;
  }
}

function readEntries(bytes: Uint8Array<ArrayBuffer>, type: string): Entry[] {
  switch (type.split(";")[0].trim().toLowerCase()) {
    case "application/json":
      return parseJson(bytes);
    case "application/x-www-form-urlencoded":
      if (bytes.length > maxUrlencodedBytes) {
        const limit = `more than ${maxUrlencodedBytes >> 20} MiB`;
        throw new Refusal("body_too_large", `The urlencoded body has ${limit}, multipart/form-data would do`);
      }
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

function parseJson(bytes: Uint8Array): Entry[] {
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

function parseForm(bytes: Uint8Array<ArrayBuffer>, type: string): Entry[] {
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
