import assert from "node:assert/strict";
import fc from "fast-check";
import { parseMultipart } from "../../src/server/multipart.ts";

const parse = (text: string, boundary = "b") => parseMultipart(new TextEncoder().encode(text), boundary);

Deno.test("parseMultipart() reads what the engine's own FormData writes, whatever names and bytes", async () => {
  const name = fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.replaceAll("%", "_"));
  const part = fc.record({ name, bytes: fc.uint8Array({ maxLength: 300 }), filename: fc.option(name) });
  await fc.assert(fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (given) => {
    const form = new FormData();
    for (const { name, bytes, filename } of given) {
      const data = new Uint8Array(bytes);
      if (filename === null) form.append(name, `t${bytes.length}`);
      else form.append(name, new Blob([data]), filename);
    }
    const response = new Response(form);
    const boundary = response.headers.get("content-type")!.split("boundary=")[1];
    const parts = parseMultipart(await response.bytes(), boundary);
    const expected = [...form].map(([name, value]) => [name, typeof value === "string" ? undefined : value.name]);
    assert.deepEqual(parts.map(({ name, filename }) => [name, filename]), expected);
    for (const [i, { bytes, filename }] of given.entries()) {
      const data = filename === null ? new TextEncoder().encode(`t${bytes.length}`) : new Uint8Array(bytes);
      assert.deepEqual(parts[i].data, data);
    }
  }));
});

Deno.test("parseMultipart() takes a preamble, an epilogue, an empty part and names without quotes", () => {
  const body = "hello\r\n--b\r\nContent-Disposition: form-data; name=steps\r\n\r\n\r\n--b--\r\nbye";
  assert.deepEqual(parse(body), [{ name: "steps", filename: undefined, data: new Uint8Array() }]);
});

Deno.test("parseMultipart() keeps line ends and half boundaries that belong to the data", () => {
  const data = "\r\n--\r\n--a\r\r\n-";
  const [part] = parse(`--b\r\nContent-Disposition: form-data; name="x"; filename="--b"\r\n\r\n${data}\r\n--b--`);
  assert.equal(new TextDecoder().decode(part.data), data);
});

Deno.test("parseMultipart() refuses a form cut at any byte, a part without a name and a hundred parts too many", () => {
  const one = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n';
  assert.equal(parse(one + "--b--").length, 1);
  for (let end = 0; end < one.length + 4; end++) assert.throws(() => parse((one + "--b--").slice(0, end)), SyntaxError);
  assert.throws(() => parse("--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--"), /no name/);
  assert.throws(() => parse(one.repeat(200) + "--b--"), /more than 100 parts/);
});
