/** Addresses of pictures that expire: whoever has one may fetch it, with no key. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type FileFormat, fileFormats } from "../delivery.ts";
import { Refusal } from "../refusal.ts";

/** How long an address is good for. */
const lifetimeMs = 600_000;

/** A picture of a job in one format. */
export interface FileName {
  job: string;
  index: number;
  format: FileFormat;
  /** 1 to 100, of JPEG and WebP. */
  quality: number;
}

/** Signs addresses, with a secret that lives as long as the process. */
export class FileAddresses {
  readonly #secret = randomBytes(32);

  /** The path of a picture, good for ten minutes from `now`. */
  path(file: FileName, now: number = Date.now()): string {
    const expires = Math.ceil((now + lifetimeMs) / 1000);
    return `/v1/files/${nameOf(file)}?expires=${expires}&signature=${this.#sign(file, expires)}`;
  }

  /** What a path stands for. @throws Refusal where it was not signed here, or has expired */
  read(name: string, query: Record<string, string>, now: number = Date.now()): FileName {
    const found = /^([\w-]{1,64})-(\d{1,3})-(\d{1,3})\.(\w+)$/.exec(name);
    const format = fileFormats.find((format) => format === found?.[4]);
    if (found && format) {
      const file: FileName = { job: found[1], index: Number(found[2]), quality: Number(found[3]), format };
      const signature = new TextEncoder().encode(query.signature ?? "");
      const wanted = new TextEncoder().encode(this.#sign(file, Number(query.expires)));
      if (signature.length === wanted.length && timingSafeEqual(signature, wanted)) {
        if (Number(query.expires) * 1000 >= now) return file;
        throw new Refusal("result_expired", "The address of this picture has expired, the same request would do");
      }
    }
    throw new Refusal("not_found", "There is no such file, an address from an answer would do");
  }

  #sign(file: FileName, expires: number): string {
    return createHmac("sha256", this.#secret).update(`${nameOf(file)} ${expires}`).digest("base64url");
  }
}

function nameOf({ job, index, format, quality }: FileName): string {
  return `${job}-${index}-${quality}.${format}`;
}
