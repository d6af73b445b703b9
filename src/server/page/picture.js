/** The picture to start from: chosen, dropped, pasted, or taken from the gallery. */
import { clearMask, maskOf, resizeMask } from "./mask.js";

const file = document.querySelector("#file"), image = document.querySelector("#init_image");
const started = document.querySelector("#started");

/** What the server reads as it is; all else is drawn anew as a PNG, and made smaller where it is larger. */
const readable = /^image\/(png|jpeg|webp)$/, largestSide = 4096, largestBytes = 8 << 20, redrawnSide = 2048;

let current;

/** The picture and, where one is painted, its mask, as files; undefined without a picture. */
export async function startFiles() {
  return current && { init_image: current, mask: await maskOf() };
}

/** Takes a picture; `failed` hears why where the browser cannot read it. */
export async function startFrom(blob, failed = () => {}) {
  let size;
  try {
    ({ file: current, ...size } = await fitted(blob));
  } catch {
    return failed({
      message: `${blob.name ?? "This file"} is no picture that this browser reads`,
      field: "init_image",
    });
  }
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(current);
  resizeMask(size); // not the element's: Firefox still has the last picture's there
  started.hidden = false;
}

export function removePicture() {
  current = undefined;
  file.value = "";
  started.hidden = true;
  clearMask();
}

/** The file itself where the server reads it, else the picture in it as a PNG; with its size in pixels. */
async function fitted(blob) {
  const bitmap = await createImageBitmap(blob), side = Math.max(bitmap.width, bitmap.height);
  try {
    if (readable.test(blob.type) && side <= largestSide && blob.size <= largestBytes) {
      return { file: blob, width: bitmap.width, height: bitmap.height };
    }
    const scale = Math.min(1, redrawnSide / side), canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return { file, width: canvas.width, height: canvas.height };
  } finally {
    bitmap.close();
  }
}

/** Listens for pictures that are chosen, dropped anywhere on the page, or pasted. */
export function listenForPictures(failed) {
  const take = (files) => {
    const blob = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
    if (blob) startFrom(blob, failed);
    return blob !== undefined;
  };
  const dropping = (on) => document.body.classList.toggle("dropping", on);
  file.addEventListener("change", () => take(file.files));
  document.querySelector("#remove-picture").addEventListener("click", () => {
    removePicture();
    file.focus();
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    dropping(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? dropping(false));
  addEventListener("drop", (event) => {
    dropping(false);
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    const { target, clipboardData } = event;
    // Text that is copied in an office programme comes with a picture of itself.
    if (clipboardData?.types.includes("text/plain") && target.matches?.("input, textarea")) return;
    if (take(clipboardData?.files ?? [])) event.preventDefault();
  });
}
