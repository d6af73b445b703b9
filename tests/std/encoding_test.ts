import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase64, decodeBase64Url, decodeHex, encodeBase64, encodeBase64Url, encodeHex } from "@std/encoding";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("encodeBase64() gives the published vectors of RFC 4648", () => {
  const vectors = {
    "": "",
    f: "Zg==",
    fo: "Zm8=",
    foo: "Zm9v",
    foob: "Zm9vYg==",
    fooba: "Zm9vYmE=",
    foobar: "Zm9vYmFy",
  };
  for (const [plain, encoded] of Object.entries(vectors)) {
    assert.equal(encodeBase64(plain), encoded);
    assert.deepEqual(decodeBase64(encoded), bytes(plain));
  }
});

Deno.test("base64url uses - and _ and leaves the padding out", () => {
  assert.equal(encodeBase64Url(new Uint8Array([0xfb, 0xff])), "-_8");
  assert.deepEqual(decodeBase64Url("-_8"), new Uint8Array([0xfb, 0xff]));
  assert.equal(encodeBase64(new Uint8Array([0xfb, 0xff])), "+/8=");
});

Deno.test("encodeHex() gives the published vectors of RFC 4648 in lower case, and decodeHex() takes both cases", () => {
  assert.equal(encodeHex("foobar"), "666f6f626172");
  assert.equal(encodeHex(new Uint8Array([0xde, 0xad]).buffer), "dead");
  assert.deepEqual(decodeHex("DEad"), new Uint8Array([0xde, 0xad]));
});

Deno.test("what does not belong to an alphabet is a SyntaxError", () => {
  assert.throws(() => decodeBase64("Zm9v!"), SyntaxError);
  assert.throws(() => decodeBase64("-_8"), SyntaxError);
  assert.throws(() => decodeBase64Url("+/8="), SyntaxError);
  assert.throws(() => decodeHex("abc"), SyntaxError);
  assert.throws(() => decodeHex("zz"), SyntaxError);
});

Deno.test("decoding gives back any bytes that were encoded", () => {
  fc.assert(fc.property(fc.uint8Array(), (data) => {
    assert.deepEqual([...decodeBase64(encodeBase64(data))], [...data]);
    assert.deepEqual([...decodeBase64Url(encodeBase64Url(data))], [...data]);
    assert.deepEqual([...decodeHex(encodeHex(data))], [...data]);
  }));
});
