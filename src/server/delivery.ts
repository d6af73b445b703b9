/** How an answer is wanted: the fields of a request that say nothing of the picture, and its Accept header. */
import { choice, type Field, RequestError, whole, wrong } from "../engine/fields.ts";

/** The kinds of answers. */
export const formats = ["png", "jpeg", "webp", "apng", "json", "sse", "ndjson", "multipart"] as const;
export type Format = typeof formats[number];

/** The formats that are a file of one picture. */
export const fileFormats = ["png", "jpeg", "webp"] as const satisfies Format[];
export type FileFormat = typeof fileFormats[number];

/** The formats in which one answer holds any number of pictures. */
export const manyFormats: readonly Format[] = ["json", "ndjson", "sse", "multipart"];

export const mediaTypes: Record<Format, string> = {
  png: "image/png",
  jpeg: "image/jpeg",
  webp: "image/webp",
  apng: "image/apng",
  json: "application/json",
  sse: "text/event-stream",
  ndjson: "application/x-ndjson",
  multipart: "multipart/x-mixed-replace",
};

export interface Delivery {
  format: Format;
  /** Whether a PNG starts before there are pixels, with chunks that tell of the steps. */
  early: boolean;
  /** Whether the job goes on without a client. */
  detach: boolean;
  timeoutMs?: number;
  priority: number;
  /** 1 to 100, of JPEG and WebP. */
  quality: number;
}

/** Yes or no, as text or JSON. */
const flag: Field<boolean> = {
  schema: { type: "boolean" },
  parse(name, value) {
    if (typeof value === "boolean") return value;
    if (value === "1" || value === "true" || value === 1) return true;
    if (value === "0" || value === "false" || value === 0) return false;
    throw wrong(name, "1 or 0", value);
  },
};

/** Every field by its name on the wire, with what an absent one stands for and what it does. */
export const deliveryFields = {
  format: { ...choice(formats), default: undefined, description: "Kind of the answer; else the Accept header chooses" },
  early: { ...flag, default: false, description: "Start the PNG at once, with a private chunk prGS for each step" },
  detach: { ...flag, default: false, description: "Go on when the client hangs up, and keep the picture for a while" },
  timeout_ms: {
    ...whole({ min: 1, max: 86_400_000 }),
    default: undefined,
    description: "Fail with 504 when the picture is not done after so many milliseconds",
  },
  priority: { ...whole({ min: -100, max: 100 }), default: 0, description: "Jobs of higher priority go first" },
  quality: { ...whole({ min: 1, max: 100 }), default: 90, description: "Of a JPEG or WebP" },
} as const;

/**
 * Takes the fields of delivery out of a request's, and reads them together with its Accept header.
 *
 * @throws RequestError
 */
export function takeDelivery(fields: Map<string, unknown>, accept: string | null): Delivery {
  const take = <T>(name: keyof typeof deliveryFields, { parse }: Field<T>): T | undefined => {
    const value = fields.get(name) ?? undefined;
    fields.delete(name);
    return value === undefined ? undefined : parse(name, value);
  };
  const delivery = {
    format: take("format", deliveryFields.format) ?? formatOf(accept, { previews: previewsIn(fields) > 0 }),
    early: take("early", deliveryFields.early) ?? false,
    detach: take("detach", deliveryFields.detach) ?? false,
    timeoutMs: take("timeout_ms", deliveryFields.timeout_ms),
    priority: take("priority", deliveryFields.priority) ?? 0,
    quality: take("quality", deliveryFields.quality) ?? 90,
  };
  if (delivery.early && delivery.format !== "png") {
    throw new RequestError("early", `Field early is true with format ${delivery.format}, png would do`);
  }
  return delivery;
}

/** How many previews a request asks for; its parser says whether that will do. */
export function previewsIn(fields: ReadonlyMap<string, unknown>): number {
  return Number(fields.get("previews") ?? 0) || 0;
}

/** @throws RequestError where there are several pictures and the format holds one */
export function checkCount(pictures: number, { format }: Delivery): void {
  if (pictures === 1 || manyFormats.includes(format)) return;
  const message = `Field n asks for ${pictures} pictures in format ${format}, which holds one, ` +
    `format ${manyFormats.join(" or ")} would do`;
  throw new RequestError("n", message);
}

/**
 * What an Accept header asks for. PNG wherever it is accepted, be it by a wildcard, unless a kind of stream or JSON is
 * named and liked as much; JPEG or WebP only where PNG is not taken. PNG also where nothing that is asked for exists. Chromium names
 * moving PNGs in every request: with previews it gets one.
 */
export function formatOf(accept: string | null, { previews = false } = {}): Format {
  const asked = (accept ?? "*/*").split(",").map((range) => {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    return { type, q: q === undefined ? 1 : Number(q.slice(2)) || 0 };
  }).filter(({ q }) => q > 0);
  const liked = (type: string) => asked.find((range) => range.type === type)?.q ?? 0;
  const png = Math.max(...["image/png", "image/*", "*/*", "image/apng"].map(liked));
  const streams = (["sse", "ndjson", "multipart", "json"] as const).map((format) => ({
    format,
    q: Math.max(liked(mediaTypes[format]), format === "ndjson" ? liked("application/ndjson") : 0),
  }));
  const best = streams.toSorted((a, b) => b.q - a.q)[0];
  if (best.q > 0 && best.q >= png && best.q >= liked("image/png")) return best.format;
  if (previews && liked("image/apng") > 0 && liked("image/apng") === png) return "apng";
  const other = liked("image/webp") > liked("image/jpeg") ? "webp" : "jpeg";
  return png === 0 && liked(mediaTypes[other]) > 0 ? other : "png";
}
