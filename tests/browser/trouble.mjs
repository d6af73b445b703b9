// What a person meets when the way to the server breaks, a proxy answers for it, or the page is left too early.
import assert from "node:assert/strict";
import { Wire } from "./wire.mjs";

export async function meetTrouble({ page, url, ready, set, told, failed, queued, counted, shoot, done }) {
  const wire = await Wire.to(url);
  try {
    await page.goto(wire.url);
    await ready();
    await page.type("#prompt", "a red circle on a blue background");
    await set("#steps", "150");
    await page.click("#make");
    await told(/^Step \d+ of 150/);
    await page.setViewport({ width: 390, height: 700 });
    await page.$eval("#stage", (stage) => stage.scrollIntoView());
    await wire.cut();
    await failed("The connection to the server broke before the picture was done, making it again would do");
    assert.equal(await page.$("#running:not([hidden])"), null);
    await page.waitForFunction(() => document.querySelector("#queue").textContent === "The server does not answer");
    await shoot("broken");
    await page.setViewport({ width: 390, height: 700 });
    await page.click("#make");
    await failed("The server does not answer; is it running?");
    await wire.mend();
    await set("#steps", "4");
    await page.click("#make");
    await counted(1);
    await told(/^Done/);
    assert.equal(await page.$eval("#failure", ({ hidden }) => hidden), true);
    await page.setViewport({ width: 1280, height: 900 });
    done("a connection that breaks is told, and the next picture is made once there is another");

    wire.breaking = '"type":"done"';
    await page.click("#make");
    await counted(2);
    await told(/^Done/);
    assert.equal(await page.$eval("#failure", ({ hidden }) => hidden), true);
    wire.breaking = undefined;
    done("a picture that was whole when the connection broke is kept");

    wire.refused = { path: "/v1/capabilities", status: 502 };
    await page.reload();
    await failed("The server answered 502");
    assert.ok(await page.$eval("#make", ({ disabled }) => disabled));
    wire.refused = undefined;
    await ready();
    assert.equal(await page.$eval("#failure", ({ hidden }) => hidden), true);
    done("a proxy's own refusals while the server starts are waited out");

    await page.type("#prompt", "a red circle");
    await set("#steps", "150");
    await page.click("#make");
    await told(/^Step \d+ of 150/);
    const warned = new Promise((resolve) => page.once("dialog", resolve));
    const reloading = page.reload();
    const warning = await warned;
    assert.equal(warning.type(), "beforeunload");
    await warning.accept();
    await reloading;
    await ready();
    while (await queued() > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await counted(2);
    done("leaving while a picture is made is asked about, and gives it up");
  } finally {
    await wire.cut();
  }
}
