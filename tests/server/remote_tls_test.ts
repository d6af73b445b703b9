import assert from "node:assert/strict";
import { RemotePictures } from "../../src/server/remote.ts";
import { elsewhere, fetched, picture, png, raw } from "./elsewhere.ts";
import { flagsFor, root } from "./programme.ts";

Deno.test("https is TLS to the address that was checked, with a certificate of the name that was given", async () => {
  await using there = elsewhere(picture, { tls: true });
  const remote = new RemotePictures(there.options);
  assert.deepEqual(await fetched(remote, there.at("a.png?b")), png);
  assert.deepEqual(await fetched(remote, `https://127.0.0.1:${there.port}/`), png);
  assert.deepEqual(there.seen, [there.at("a.png?b"), `https://127.0.0.1:${there.port}/`]);
  // Nobody vouches for another name, nor does anybody that Deno knows for this one.
  const distrusting = new RemotePictures({ ...there.options, authorities: undefined });
  const invalid = /does not answer with a valid certificate/;
  await assert.rejects(fetched(remote, `https://other.test:${there.port}/`), invalid);
  await assert.rejects(fetched(distrusting, there.at("a.png")), invalid);
  assert.equal(there.seen.length, 2);
});

Deno.test("nothing of a request over https goes out in clear text", async () => {
  for (const text of ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", undefined]) {
    await using there = raw(text);
    const remote = new RemotePictures({ ...there.options, deadlineMs: 300 });
    const outcome = fetched(remote, `https://pictures.test:${there.port}/secret?token=secret`);
    await assert.rejects(outcome, text ? /valid certificate/ : /takes more than 0\.3 s/);
    assert.ok(there.got.length > 0);
    for (const bytes of there.got) {
      assert.deepEqual([...bytes.subarray(0, 2)], [0x16, 3], "the record of a TLS handshake");
      assert.doesNotMatch(new TextDecoder("latin1").decode(bytes), /secret|GET|HTTP\//);
    }
  }
});

Deno.test("pictures come from IPv6 as well, by name and by address", async () => {
  for (const tls of [false, true]) {
    await using there = elsewhere(picture, { tls, host: "::1" });
    const remote = new RemotePictures(there.options), address = `http${tls ? "s" : ""}://[::1]:${there.port}/a.png`;
    assert.deepEqual(await fetched(remote, there.at("a.png")), png);
    assert.deepEqual(await fetched(remote, address), png);
    assert.deepEqual(there.seen, [there.at("a.png"), address]);
  }
});

Deno.test("where nobody is at a name's first address, the next is asked", async () => {
  await using there = elsewhere(picture);
  const resolve = () => Promise.resolve(["::1", "127.0.0.1"]);
  assert.deepEqual(await fetched(new RemotePictures({ resolve, allows: () => true }), there.at("a.png")), png);
});

Deno.test("the rights that the task serve gives are enough for http and https", async () => {
  for (const tls of [false, true]) {
    await using there = elsewhere(picture, { tls });
    const source = new URL("../../src/server/remote.ts", import.meta.url).href;
    const options = `{ resolve: () => Promise.resolve(["127.0.0.1"]), allows: () => true, authorities: ${
      JSON.stringify(there.options.authorities)
    } }`;
    const script = `
      import { RemotePictures } from ${JSON.stringify(source)};
      const fields = new Map([["init_image", ${JSON.stringify(there.at("a.png"))}]]);
      await new RemotePictures(${options}).fill(fields, { grow() {}, signal: new AbortController().signal });
      console.log(fields.get("init_image").length);`;
    const module = `data:application/javascript,${encodeURIComponent(script)}`;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--config=deno.json", ...flagsFor("main.ts"), module],
      cwd: root,
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.deepEqual([code, new TextDecoder().decode(stdout).trim()], [0, `${png.length}`]);
  }
});
