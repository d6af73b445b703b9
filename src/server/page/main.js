/** The page: a form, the picture in the making, and the gallery, put together. */
import { ask, BrokenOff, linesOf, ServerError } from "./api.js";
import { clearErrors, describe, isShown, restore, showError, values } from "./form.js";
import { add, openGallery } from "./gallery.js";
import { listenForPictures, startFiles, startFrom } from "./picture.js";
import { follow, show, tell, working } from "./progress.js";
import { watchQueue } from "./queue.js";

const form = document.querySelector("#form"), seed = document.querySelector("#seed");
const most = { previews: 12 };
/** Questions about what the server can do: what comes of an older one counts no more. */
let questions = 0;

const lookAtQueue = watchQueue();
listenForPictures(showError);
openGallery({
  reuse: ({ fields }) => (restore(fields), form.elements.namedItem("prompt").focus()),
  reuseSeed: ({ fields }) => (restore({ seed: fields.seed }), seed.focus()),
  restart: ({ blob }) => startFrom(blob, showError),
}).catch(({ message }) => tell(`The gallery cannot be opened: ${message}`));
document.querySelector("#any-seed").addEventListener("click", () => (seed.value = -1));
document.querySelector("#model").addEventListener("change", ({ target: { value } }) => {
  learn({ model: value, fresh: true });
});
document.querySelector("#cancel").addEventListener("click", () => running?.abort());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running && !document.querySelector("#make").disabled) make();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault(); // leaving gives the picture up
});
learn();

/** Brings what the server can do into the form; one that is loading, stopping or not there is asked again. */
async function learn(about = {}) {
  const { model, fresh } = about, question = ++questions;
  try {
    const query = model === undefined ? "" : `?model=${encodeURIComponent(model)}`;
    const capabilities = await (await ask(`/v1/capabilities${query}`)).json();
    if (question !== questions) return;
    most.previews = Math.min(12, capabilities.fields.previews.maximum);
    describe(capabilities, { fresh });
    clearErrors();
    document.querySelector("#make").disabled = false;
  } catch (error) {
    if (question !== questions) return;
    if (!isShown(error)) showError(error); // once: it is read aloud each time
    const mayPass = error.status === 0 || error.status === 429 || error.status >= 500; // a proxy has codes of its own
    if (mayPass) setTimeout(() => question === questions && learn(about), 2000);
  }
}

/** Aborts the picture that is being made. */
let running;

async function make() {
  running = new AbortController();
  clearErrors();
  working(true);
  try {
    const files = await startFiles();
    const fields = values({ withPicture: files !== undefined });
    const image = await made(fields, files, running.signal);
    const bytes = Uint8Array.from(atob(image.b64), (character) => character.charCodeAt(0));
    const blob = new Blob([bytes], { type: "image/png" });
    show(URL.createObjectURL(blob), fields.prompt || "The picture");
    const kept = { blob, fields: { ...fields, seed: `${image.seed}` }, infotext: image.infotext, made: Date.now() };
    await add(kept).catch(({ message }) => {
      throw new Error(`The picture cannot be kept in the gallery: ${message}`);
    });
    tell(`Done, seed ${image.seed}`); // and kept: from here on leaving loses nothing
  } catch (error) {
    tell(running.signal.aborted ? "Cancelled" : "");
    if (!running.signal.aborted) showError(error);
  } finally {
    running = undefined;
    working(false);
    lookAtQueue();
  }
}

/** Asks for a picture and shows how it comes; the event of the picture itself. */
async function made(fields, files, signal) {
  const body = new FormData();
  const delivery = { format: "ndjson", previews: Math.max(0, Math.min(most.previews, Number(fields.steps) || 0)) };
  for (const [name, value] of Object.entries({ ...fields, ...files, ...delivery })) {
    if (value !== undefined) body.set(name, value);
  }
  const response = await ask("/generate", { method: "POST", body, signal });
  lookAtQueue();
  const showEvent = follow();
  let image;
  try {
    for await (const event of linesOf(response)) {
      if (event.type === "error") throw new ServerError(event.error);
      if (event.type === "image") image = event;
      showEvent(event);
    }
  } catch (error) {
    if (!image || !(error instanceof BrokenOff)) throw error; // what was whole by then is
  }
  if (!image) throw new BrokenOff();
  return image;
}
