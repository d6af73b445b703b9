/** Previews and pictures one after the other in `multipart/x-mixed-replace`: an `<img>` shows each in the last one's place. */
import { concat } from "../../png/chunk.ts";
import type { Job } from "../job.ts";
import { resumed } from "./body.ts";
import { wholePng } from "./png.ts";

const boundary = "picture";

/** The answer's content-type. */
export const partsType = `multipart/x-mixed-replace; boundary=${boundary}`;

/** The parts, once the first of them exists: every preview as it comes, then every picture. */
export async function streamParts(job: Job): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, void>> {
  const parts = partsOf(job);
  return resumed(await parts.next(), parts);
}

async function* partsOf(job: Job): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let first = true;
  for await (const news of job.news.from()) {
    if (news.type === "error") throw news.error;
    if (news.type !== "preview" && news.type !== "image") continue;
    yield part(news.type === "preview" ? news.png : await wholePng(job, news.index), { first });
    first = false;
  }
  yield new TextEncoder().encode("--\r\n");
}

/** One part with the boundary that ends it, without which no browser shows it. */
function part(png: Uint8Array<ArrayBuffer>, { first }: { first: boolean }): Uint8Array<ArrayBuffer> {
  const head = `${first ? `--${boundary}` : ""}\r\nContent-Type: image/png\r\nContent-Length: ${png.length}\r\n\r\n`;
  return concat([new TextEncoder().encode(head), png, new TextEncoder().encode(`\r\n--${boundary}`)]);
}
