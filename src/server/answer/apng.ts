/** A picture's making as a moving PNG: every preview as it comes, then the picture. */
import { decodePng } from "../../image/png.ts";
import { ApngWriter, chunksOf, enlarged } from "../../png/apng.ts";
import { pngHead } from "../../png/encode.ts";
import type { Job } from "../job.ts";
import { resumed } from "./body.ts";

/** How long a preview is shown where the whole file is there at once, and the picture at the end. */
const previewMs = 200, pictureMs = 2000;

/**
 * The file's pieces, once the first frame exists; `previews` are announced, and what does not come of them is made up for
 * by the picture itself, since a file says first how many frames it has.
 */
export async function streamApng(
  job: Job,
  { previews }: { previews: number },
): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, void>> {
  const pieces = piecesOf(job, previews);
  return resumed(await pieces.next(), pieces);
}

async function* piecesOf(job: Job, previews: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const { width, height } = job.size;
  const { infotext, pieces } = job.pictures[0];
  const header = { width, height, text: { parameters: infotext } };
  const writer = new ApngWriter(header);
  let shown = 0;
  for await (const news of job.news.from()) {
    if (news.type === "error") throw news.error;
    if (news.type === "image") break;
    if (news.type !== "preview" || news.index !== 0 || shown === previews) continue;
    const small = decodePng(news.png), scale = width / small.width;
    if (!Number.isInteger(scale) || small.height * scale !== height) continue; // of another stage's size
    if (shown++ === 0) yield writer.head(previews + 1);
    yield writer.frame([enlarged(small, scale)], { delayMs: previewMs });
  }
  if (shown === 0) yield writer.head(previews + 1);
  const data: Uint8Array[] = [];
  let head = pngHead(header).length;
  for await (const piece of pieces.from()) {
    data.push(...chunksOf(piece.subarray(head), "IDAT"));
    head = 0;
  }
  for (; shown < previews; shown++) yield writer.frame(data, { delayMs: previewMs });
  yield writer.frame(data, { delayMs: pictureMs });
  yield writer.end();
}
