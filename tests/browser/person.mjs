// Uses the page as a person would. Arguments: the folder of packages, the browser and where it is, a server, one with keys.
// Pictures of the screen go to the folder that SCREENSHOTS names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { meetTrouble } from "./trouble.mjs";

const [folder, browser, executablePath, url, closedUrl] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")).href);
const shots = process.env.SCREENSHOTS;
const done = (name) => console.log(`ok ${browser}: ${name}`);

const driven = await puppeteer.launch({ browser, executablePath, args: browser === "chrome" ? ["--no-sandbox"] : [] });
const page = await driven.newPage();
await page.setViewport({ width: 1280, height: 900 });
page.setDefaultTimeout(60_000);
const complaints = [];
// That a request was refused, or not answered, is written to Chromium's console too; the page tells it in its own words.
const isRefusal = (text) =>
  /Failed to load resource: (the server responded with a status of [45]\d\d|net::ERR_)/.test(text);
page.on("console", (message) => {
  if (["error", "warn"].includes(message.type()) && !isRefusal(message.text())) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(`${error}`));

const text = (selector) => page.$eval(selector, (element) => element.textContent.trim());
const value = (selector) => page.$eval(selector, (element) => element.value);
const set = async (selector, wanted) => {
  await page.$eval(selector, (element) => (element.value = ""));
  await page.type(selector, wanted);
};
const told = async (pattern) => {
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector("#news").textContent),
    { polling: 20 },
    pattern.source,
  );
};
const count = () => page.$$eval("#pictures li", (items) => items.length);
const counted = (wanted) =>
  page.waitForFunction((n) => document.querySelectorAll("#pictures li").length === n, {}, wanted);
const ready = () => page.waitForFunction(() => !document.querySelector("#make").disabled);
const press = async (key, times = 1) => {
  for (let i = 0; i < times; i++) await page.keyboard.press(key);
};
const queued = async () => (await (await fetch(`${url}/health/ready`)).json()).queue.length;
const failed = async (sentence) => {
  await page.waitForFunction((wanted) => document.querySelector("#failure").textContent === wanted, {}, sentence);
  const isSeen = await page.$eval("#failure", (failure) => {
    const { left, right, top, bottom } = failure.getBoundingClientRect(), centre = (left + right) / 2;
    return [top + 1, bottom - 1].every((y) => document.elementFromPoint(centre, y) === failure);
  });
  assert.ok(isSeen, `in view and not covered: ${sentence}`);
};
const inUse = () => page.evaluate(() => document.activeElement.id);
/** The samples of a picture that the page shows, as it draws them. */
const pixels = (selector) =>
  page.$eval(selector, async (image) => {
    await image.decode();
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
  });
/** The share of the mask that is painted. */
const painted = () =>
  page.$eval("#mask", (canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((sample, i) => i % 4 === 3 && sample > 0).length / (canvas.width * canvas.height);
  });
const shoot = async (name) => {
  if (!shots) return;
  for (
    const [size, width, height] of [
      ["desktop", 1280, 900],
      ["phone", 390, 844],
    ]
  ) {
    await page.setViewport({ width, height });
    if (name !== "viewer") { // all of the page in view, where the button that stays is in its own place
      const whole = await page.evaluate(() => document.documentElement.scrollHeight);
      await page.setViewport({ width, height: Math.max(height, whole) });
    }
    for (const scheme of browser === "chrome" ? ["light", "dark"] : ["light"]) {
      if (browser === "chrome") {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      }
      // Chromium fills a layer with one colour until it has painted it anew.
      await page.evaluate(() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown))));
      await page.screenshot({ path: `${shots}/${browser}-${name}-${size}-${scheme}.png` });
    }
  }
  await page.setViewport({ width: 1280, height: 900 });
};

await page.goto(url);
await ready();
const capabilities = await (await fetch(`${url}/v1/capabilities`)).json();
assert.equal(await value("#steps"), `${capabilities.fields.steps.default}`);
assert.equal(await value("#sampler"), capabilities.fields.sampler.default);
assert.equal(await page.$eval("#width", (input) => input.max), `${capabilities.limits.maxSide}`);
assert.deepEqual(
  await page.$$eval("#sampler option", (options) => options.map(({ value }) => value)),
  capabilities.samplers.map(({ name }) => name),
);
await page.waitForFunction(() => /tiny on .+, nothing queued/.test(document.querySelector("#queue").textContent));
await shoot("empty");
done("the form has the server's limits, names and defaults, and says what the queue holds");

await page.type("#prompt", "a red circle on a blue background");
await set("#steps", "40");
await set("#seed", "7");
await page.click("#make");
await page.waitForFunction(() => document.querySelector("#picture").src.startsWith("data:"), { polling: 20 });
assert.equal(await count(), 0, "a preview is there before the picture");
await told(/^Step \d+ of 40, \d+ s left$/);
assert.ok(await page.$eval("#progress", ({ value, max }) => value > 0 && max === 40));
if (shots) await page.screenshot({ path: `${shots}/${browser}-preview.png` });
await told(/^Done, seed 7$/);
await counted(1);
const first = await pixels("#picture");
assert.equal(first.length, 128 * 128 * 4);
const [centre, corner] = [(64 * 128 + 64) * 4, 0].map((at) => first.slice(at, at + 3));
assert.ok(centre[0] > centre[2] && corner[2] > corner[0], `a red circle on blue: ${centre} on ${corner}`);
done("a first picture, with a preview, progress and the time left before its end");

await set("#steps", "150");
await page.click("#make");
await told(/^Step \d+ of 150/);
await page.click("#cancel");
await told(/^Cancelled$/);
assert.equal(await inUse(), "make", "the focus is not lost with the button that was pressed");
for (let held = 1; held > 0;) {
  held = await queued();
  await new Promise((resolve) => setTimeout(resolve, 50));
}
assert.equal(await count(), 1);
done("a cancelled picture leaves the server's queue and the gallery alone");

await set("#steps", "0");
await page.click("#make");
await page.waitForSelector("#steps-error");
assert.equal(await text("#steps-error"), 'Field steps is "0", a whole number from 1 to 150 would do');
assert.deepEqual(
  [await inUse(), await page.$eval("#steps", (input) => input.getAttribute("aria-invalid"))],
  ["steps", "true"],
);
await shoot("error");
await set("#steps", "8");
await page.select("#sampler", "ddim");
await page.select("#scheduler", "karras");
await page.click("#make");
assert.match(
  await page.waitForSelector("#scheduler-error").then(() => text("#scheduler-error")),
  /^Field scheduler is "karras"/,
);
assert.equal(await page.$("#steps-error"), null);
await page.select("#sampler", capabilities.fields.sampler.default);
await page.select("#scheduler", "automatic");
done("what the server refuses stands in its words by the field, which has the focus");

await page.click("#pictures button");
await page.waitForSelector("#viewer[open]");
assert.match(await text("#parameters"), /Size128 × 128Steps40.*SamplerDPM\+\+ 2M.*Seed7/);
assert.match(
  await page.$eval("#download", ({ download, href }) => `${download} ${href}`),
  /^a-red-circle.+-7\.png blob:/,
);
await shoot("viewer");
await page.click("#restart");
await page.waitForSelector("#started:not([hidden])");
await set("#strength", "0.9");
await page.click("#mask");
assert.ok(await painted() > 0, "a click is a dab");
const box = await (await page.$("#mask")).boundingBox();
await page.mouse.move(box.x + 5, box.y + box.height - 20);
await page.mouse.down();
await page.mouse.move(box.x + box.width / 2, box.y + box.height - 20, { steps: 8 });
await page.mouse.up();
await page.click("#clear-mask");
assert.equal(await painted(), 0, "a cleared mask has nothing");
await page.$eval("#brush", (range) => (range.value = 40));
await page.mouse.move(box.x + 10, box.y + 10);
await page.mouse.down();
await page.mouse.move(box.x + box.width - 10, box.y + 10, { steps: 8 });
await page.mouse.up();
const share = await painted();
assert.ok(share > 0.15 && share < 0.4, `the upper edge is painted: ${share}`);
await shoot("mask");
await set("#prompt", "a yellow star on a green background");
await page.click("#make");
await counted(2);
await told(/^Done/);
const repainted = await pixels("#picture");
const rows = (from, to) => [first, repainted].map((samples) => samples.slice(from * 128 * 4, to * 128 * 4));
assert.deepEqual(...rows(64, 128));
assert.notDeepEqual(...rows(0, 16));
done("a mask painted with the mouse: what it leaves keeps every pixel");

await page.click("#clear-mask");
await page.focus("#mask");
await press(" ");
const dab = await painted();
await page.keyboard.down(" ");
await press("ArrowDown", 3);
await page.keyboard.up(" ");
assert.ok(dab > 0 && (await painted()) > dab, "keys paint");
await page.click("#clear-mask");
await page.click("#make");
await counted(3);
await told(/^Done/);
assert.notDeepEqual((await pixels("#picture")).slice(64 * 128 * 4), first.slice(64 * 128 * 4));
done("image to image, and a mask painted with keys");

await page.click("#remove-picture");
await page.waitForSelector("#started", { hidden: true });
for (const way of ["drop", "paste"]) {
  await page.evaluate(async (way) => {
    const canvas = new OffscreenCanvas(40, 30);
    canvas.getContext("2d").fillRect(0, 0, 40, 30);
    // A kind that the server does not read: the page draws it anew.
    const data = new DataTransfer();
    data.items.add(
      new File([await canvas.convertToBlob({ type: "image/webp" })], "black.webp", { type: "image/webp" }),
    );
    const event = new Event(way, { bubbles: true, cancelable: true });
    // Firefox gives events that a script makes an empty clipboard.
    Object.defineProperty(event, way === "drop" ? "dataTransfer" : "clipboardData", { value: data });
    document.querySelector("#prompt").dispatchEvent(event);
  }, way);
  await page.waitForFunction(() => document.querySelector("#mask").width === 40);
  await page.waitForSelector("#started:not([hidden])");
  await page.click("#remove-picture");
}
const isPicture = await page.evaluate(() => {
  const data = new DataTransfer(), event = new Event("paste", { bubbles: true, cancelable: true });
  data.setData("text/plain", "a copied prompt");
  data.items.add(new File([new Uint8Array(8)], "text.png", { type: "image/png" }));
  Object.defineProperty(event, "clipboardData", { value: data });
  document.querySelector("#prompt").dispatchEvent(event);
  return event.defaultPrevented;
});
assert.ok(
  !isPicture && await page.$("#file-error") === null,
  "text that comes with a picture of itself is pasted as text",
);
const wrong = `${mkdtempSync(`${tmpdir()}/`)}/no.png`;
writeFileSync(wrong, "no picture");
await (await page.$("#file")).uploadFile(wrong);
await page.waitForSelector("#file-error");
assert.equal(await text("#file-error"), "no.png is no picture that this browser reads");
done("pictures dropped and pasted, and a file that is none");

await page.reload();
await ready();
await counted(3);
assert.equal(await value("#seed"), "-1");
await page.click("#pictures li:last-child button");
await page.click("#reuse");
assert.deepEqual(
  [await value("#prompt"), await value("#steps"), await value("#seed")],
  ["a red circle on a blue background", "40", "7"],
);
await page.click("#make");
await counted(4);
await told(/^Done/);
assert.deepEqual(await pixels("#picture"), first);
await shoot("gallery");
done("after a reload the gallery is there, and its parameters give the same picture again");

await page.click("#pictures button");
await page.click("#delete");
assert.equal(await text("#delete"), "Delete for good?");
assert.equal(await count(), 4, "once is not enough");
await page.click("#delete");
await counted(3);
await page.reload();
await ready();
await counted(3);
done("what is deleted stays deleted");

assert.equal(await inUse(), "prompt");
await page.keyboard.type("a pink heart on a white background");
const passed = [];
for (let i = 0; i < 30 && passed.at(-1) !== "make"; i++) {
  await press("Tab");
  passed.push(await inUse());
}
for (const id of ["negative_prompt", "width", "height", "steps", "cfg_scale", "sampler", "scheduler", "seed", "file"]) {
  assert.ok(passed.includes(id), `${id} is reached by Tab: ${passed}`);
}
await press("Enter");
await counted(4);
await told(/^Done/);
await page.focus("#make");
await press("Tab");
await press("Enter");
await page.waitForSelector("#viewer[open]");
const within = [];
for (let i = 0; i < 6; i++) {
  await press("Tab");
  within.push(await inUse());
}
assert.deepEqual(within, ["reuse", "reuse-seed", "restart", "download", "delete", "close"]);
await press("Escape");
await page.waitForSelector("#viewer", { hidden: true });
assert.equal(await page.evaluate(() => document.activeElement.closest("#pictures") !== null), true);
done("everything by keyboard alone");

// Without a script: what an address of a picture shows in an <img> while it is made.
// Chromium names moving PNGs among what it accepts, Firefox does not.
const moving = browser === "chrome" ? "previews=6" : "format=apng&previews=6";
for (const query of ["format=multipart&previews=6", moving]) {
  const address = `${url}/generate?prompt=a+red+circle&steps=80&seed=2&${query}`;
  await page.evaluate((src) => {
    const image = Object.assign(new Image(128, 128), { src, id: "live" });
    Object.assign(image.style, { position: "fixed", left: 0, top: 0 });
    document.body.append(image);
  }, address);
  while (await queued() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const seen = new Set(), clip = { x: 0, y: 0, width: 128, height: 128 };
  while (await queued() > 0) seen.add(await page.screenshot({ clip, encoding: "base64" }));
  assert.ok(seen.size > 3, `${seen.size} pictures were seen in the <img> of ${query} before the last one`);
  await page.$eval("#live", (image) => image.remove());
}
done("a picture in the making in an <img>, as parts and as a moving PNG");

for (const width of [320, 390]) {
  await page.setViewport({ width, height: 700 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `it fits ${width} pixels`);
}
await page.setViewport({ width: 1280, height: 900 });
done("nothing is wider than a phone");

await page.goto(closedUrl);
await page.waitForSelector("#key-dialog[open]");
await page.type("#key", "guess");
await press("Enter");
await page.waitForFunction(() => document.querySelector("#key-error").textContent !== "");
assert.match(await text("#key-error"), /^The key is not known/);
await shoot("key");
await page.type("#key", "secret");
await press("Enter");
await ready();
await page.type("#prompt", "a green square");
await page.click("#make");
await told(/^Done/);
await page.reload();
await ready();
assert.equal(await page.$("#key-dialog[open]"), null);
done("a key is asked for once, and kept for the tab");

await meetTrouble({ page, url, ready, set, told, failed, queued, counted, shoot, done });

assert.deepEqual(complaints, []);
done("nothing in the console");
await driven.close();
