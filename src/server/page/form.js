/** The form: its limits, names and defaults are the server's own, from `/v1/capabilities`. */
const form = document.querySelector("#form");
const failure = document.querySelector("#failure");

/** The fields that are sent as they stand. */
const names = [
  "prompt",
  "negative_prompt",
  "model",
  "width",
  "height",
  "steps",
  "cfg_scale",
  "sampler",
  "scheduler",
  "seed",
];
/** The fields that mean something beside a picture to start from. */
const pictureNames = ["strength", "resize_mode"];

const input = (name) => form.elements.namedItem(name);

/** Brings names, limits and, where a field is empty or all are to be `fresh`, defaults into the form. */
export function describe({ model, models, samplers, schedulers, fields }, { fresh = false } = {}) {
  fill(input("model"), models.map((name) => ({ name, label: name })), model.name);
  document.querySelector("#model-field").hidden = models.length < 2;
  fill(input("sampler"), samplers, fields.sampler.default, { fresh });
  fill(input("scheduler"), schedulers, fields.scheduler.default, { fresh });
  const modes = (fields.resize_mode.description.match(/\d \w+/g) ?? []).map((mode) => mode.split(" "));
  fill(input("resize_mode"), modes.map(([name, label]) => ({ name, label: capitalised(label) })), "1");
  for (const name of ["width", "height", "steps", "cfg_scale", "seed", "strength"]) {
    const field = input(name);
    const { minimum, exclusiveMinimum, maximum, multipleOf, default: usual, description } = fields[name];
    Object.assign(field, { min: minimum ?? exclusiveMinimum ?? "", max: maximum ?? "", title: description });
    if (multipleOf) field.step = multipleOf;
    if (fresh || field.value === "") field.value = usual;
  }
}

/** Fills a list with choices; what was chosen stays where it is still there. */
function fill(select, choices, usual, { fresh = false } = {}) {
  const chosen = fresh ? usual : select.value;
  select.replaceChildren(...choices.map(({ name, label }) => new Option(label, name)));
  select.value = choices.some(({ name }) => name === chosen) ? chosen : usual;
}

/** What a value is called where the form lists it, else the value itself. */
export function wordFor(name, value) {
  return [...(input(name)?.options ?? [])].find((option) => option.value === value)?.label ?? value;
}

export const capitalised = (text) => text[0].toUpperCase() + text.slice(1);

form.addEventListener("input", clearErrors);

/** The request as it stands in the form, with the picture's fields where there is one. */
export function values({ withPicture }) {
  const wanted = withPicture ? [...names, ...pictureNames] : names;
  const given = wanted.map((name) => [name, input(name).value]);
  return Object.fromEntries(given.filter(([name, value]) => value !== "" || name.endsWith("prompt")));
}

/** Puts the values of a request back into the form. */
export function restore(fields) {
  for (const [name, value] of Object.entries(fields)) if (input(name)) input(name).value = value;
  clearErrors();
}

/** Shows the server's sentence beside the field that it names, or below the form. */
export function showError({ message, field }) {
  clearErrors();
  const control = field && (input(field) ?? document.querySelector(field === "init_image" ? "#file" : `#${field}`));
  if (!control) {
    failure.textContent = message;
    failure.hidden = false;
    failure.scrollIntoView({ block: "nearest" }); // on a phone the picture is in view, and the form above it
    return;
  }
  const note = document.createElement("p");
  Object.assign(note, { className: "error", id: `${control.id}-error`, textContent: message });
  note.setAttribute("role", "alert");
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", note.id);
  (control.closest(".field") ?? control).after(note);
  control.focus();
}

/** Whether an error's sentence stands below the form already. */
export const isShown = ({ message }) => !failure.hidden && failure.textContent === message;

export function clearErrors() {
  failure.hidden = true;
  for (const note of form.querySelectorAll(".error[id$=-error]")) note.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    if (control.id !== "mask") control.removeAttribute("aria-describedby");
  }
}
