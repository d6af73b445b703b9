/** From a request of the native surface to a job. */
import type { Context } from "hono";
import type { EngineInfo } from "../engine/protocol.ts";
import { type ParsedRequest, parseRequest, RequestError } from "../engine/request.ts";
import { type Delivery, takeDelivery } from "./delivery.ts";
import type { Order } from "./jobs.ts";
import { digestOf } from "./jobs.ts";
import { type Env, infoOf, readyInfo, type Surface } from "./surface.ts";

/** Longest Idempotency-Key. */
const longestKey = 255;

/** A request that is read, and not understood yet. */
export interface Reading {
  delivery: Delivery;
  info: EngineInfo;
  /** Every field by its name, as it was sent. */
  fields: ReadonlyMap<string, unknown>;
  /** How it is ordered. @throws RequestError */
  asked: () => Omit<Order, "parsed">;
  /** What is ordered, its pictures fetched where they are addresses. @throws Refusal or RequestError */
  parse: () => Promise<ParsedRequest>;
  /** Gives the body's share of the memory back, as the order's `release` does; to be called whatever happens. */
  release: () => void;
}

/**
 * Reads a request of the native surface.
 *
 * @throws Refusal, RequestError or EngineError
 */
export async function readRequest(c: Context<Env>, surface: Surface): Promise<Reading> {
  readyInfo(surface.engine); // before a large body is read
  const upload = await surface.uploads.read(c.req.raw);
  const release = () => upload[Symbol.dispose]();
  try {
    const fields = new Map(upload.fields);
    const delivery = takeDelivery(fields, c.req.header("accept") ?? null);
    const info = await infoOf(surface, fields);
    const { detach: detached, priority, timeoutMs } = delivery;
    const asked = () => ({ detached, priority, timeoutMs, idempotency: idempotencyOf(c, fields), release });
    const parse = async () => {
      await surface.remote?.fill(fields, { grow: upload.grow, signal: c.req.raw.signal });
      return parseRequest(fields, info);
    };
    return { delivery, info, fields: upload.fields, asked, parse, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** What the header Idempotency-Key stands for, where there is one. @throws RequestError */
export function idempotencyOf(c: Context<Env>, fields: ReadonlyMap<string, unknown>): Order["idempotency"] {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (key.length > 0 && key.length <= longestKey) return { key, digest: digestOf(fields) };
  const message = `Header Idempotency-Key has ${key.length} characters, 1 to ${longestKey} would do`;
  throw new RequestError("Idempotency-Key", message);
}
