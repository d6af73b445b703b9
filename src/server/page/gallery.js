/** The gallery: thumbnails, and a picture large with its parameters and what can be done with it. */
import { capitalised, wordFor } from "./form.js";
import { forget, keep, older } from "./store.js";

const list = document.querySelector("#pictures"), none = document.querySelector("#gallery-empty");
const more = document.querySelector("#older"), viewer = document.querySelector("#viewer");
const remover = document.querySelector("#delete");
const pageSize = 48;

/** What parameters are called; those that are not here keep their names. */
const titles = { prompt: "Prompt", negative_prompt: "Negative prompt", cfg_scale: "Guidance", resize_mode: "Fit" };

let oldest;

/** Begins with this browser's pictures; `reuse`, `reuseSeed` and `restart` are called with one of them. */
export async function openGallery({ reuse, reuseSeed, restart }) {
  const act = (id, then) => {
    document.querySelector(id).addEventListener("click", () => {
      viewer.close();
      then?.(viewed);
    });
  };
  act("#reuse", reuse);
  act("#reuse-seed", reuseSeed);
  act("#restart", restart);
  act("#close");
  remover.addEventListener("click", () => {
    if (!isAsked()) return askToDelete(true);
    viewer.close();
    remove(viewed);
  });
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  more.addEventListener("click", showOlder);
  await showOlder();
}

/** Keeps a picture and shows it first. Without room for it the browser's own reason is thrown. */
export async function add(picture) {
  const kept = await keep(picture);
  list.prepend(thumbnail(kept));
  oldest ??= kept.id;
  none.hidden = true;
}

async function showOlder() {
  const found = await older(oldest, pageSize);
  oldest = found.at(-1)?.id ?? oldest;
  list.append(...found.map(thumbnail));
  more.hidden = found.length < pageSize;
  none.hidden = list.children.length > 0;
}

function thumbnail(picture) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img");
  const { prompt, seed } = picture.fields;
  Object.assign(image, { src: URL.createObjectURL(picture.blob), alt: `${prompt || "No prompt"}, seed ${seed}` });
  image.loading = "lazy";
  button.type = "button";
  button.append(image);
  button.addEventListener("click", () => view(picture, item));
  item.append(button);
  return item;
}

/** A picture that is deleted is gone for good: the button asks once more. */
const isAsked = () => remover.classList.contains("asked");
function askToDelete(on) {
  remover.classList.toggle("asked", on);
  remover.textContent = on ? "Delete for good?" : "Delete";
}

/** The picture in the dialog. */
let viewed, viewedItem;

function view(picture, item) {
  [viewed, viewedItem] = [picture, item];
  askToDelete(false);
  const { fields, made } = picture, url = item.querySelector("img").src;
  Object.assign(document.querySelector("#viewed"), { src: url, alt: fields.prompt || "No prompt" });
  const name = `${fields.prompt.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "picture"}-${fields.seed}.png`;
  Object.assign(document.querySelector("#download"), { href: url, download: name });
  const rows = Object.entries({ ...factsOf(fields), made: new Date(made).toLocaleString() });
  document.querySelector("#parameters").replaceChildren(
    ...rows.filter(([, value]) => value !== "").flatMap(([name, value]) => {
      const term = document.createElement("dt"), definition = document.createElement("dd");
      term.textContent = titles[name] ?? capitalised(name);
      definition.textContent = value;
      return [term, definition];
    }),
  );
  viewer.showModal();
  document.querySelector("#viewer-title").focus();
}

/** A request's fields in the form's words, both sides in one. */
function factsOf({ height, ...fields }) {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) =>
      name === "width" && height ? ["size", `${value} × ${height}`] : [name, wordFor(name, value)]
    ),
  );
}

async function remove({ id }) {
  await forget(id);
  URL.revokeObjectURL(viewedItem.querySelector("img").src);
  const next = (viewedItem.nextElementSibling ?? viewedItem.previousElementSibling)?.querySelector("button");
  viewedItem.remove();
  none.hidden = list.children.length > 0;
  next?.focus();
}
