/** Which methods a path takes, and what it says to others. */
import assert from "node:assert/strict";
import { serve } from "./serve.ts";

const allowed: Readonly<Record<string, string>> = {
  "/": "GET, HEAD",
  "/page/main.js": "GET, HEAD",
  "/docs": "GET, HEAD",
  "/openapi.json": "GET, HEAD",
  "/metrics": "GET, HEAD",
  "/health/live": "GET, HEAD",
  "/generate": "GET, POST",
  "/v1/capabilities": "GET, HEAD",
  "/v1/jobs": "POST",
  "/v1/jobs/x": "GET, HEAD, DELETE",
  "/v1/jobs/x/image/0": "GET, HEAD",
  "/v1/models/tiny": "GET, HEAD",
  "/v1/images/edits": "POST",
  "/v1/files/x": "GET, HEAD",
  "/sdapi/v1/options": "GET, HEAD, POST",
  "/sdapi/v1/txt2img": "POST",
  "/controlnet/version": "GET, HEAD",
  "/hf": "POST",
  "/models/owner/tiny": "POST",
  "/v2": "GET, HEAD",
  "/v2/health/ready": "GET, HEAD",
  "/v2/models/tiny/infer": "POST",
  "/v2/models/tiny/versions/1/infer": "POST",
};

Deno.test("every path refuses a method that it does not take with 405 and what it takes, in its clients' words", async () => {
  using server = serve();
  for (const [path, allow] of Object.entries(allowed)) {
    for (const method of ["PUT", "OPTIONS", "BREW"]) {
      const response = await server.send(method, path);
      assert.deepEqual([response.status, response.headers.get("allow")], [405, allow], `${method} ${path}`);
      const { error, detail } = await response.json();
      const message = path.startsWith("/v2") || /^\/(hf|models)/.test(path) ? error : detail ?? error.message;
      assert.equal(message, `${path} does not take ${method}, ${allow} would do`);
    }
  }
});

Deno.test("what is nowhere is 404 whatever the method", async () => {
  using server = serve();
  for (const path of ["/nothing", "/v1/jobs/x/y", "/sdapi/v1/nothing", "/v2/nothing", "/page/nothing.js", "/health/"]) {
    for (const method of ["GET", "POST", "BREW"]) {
      const response = await server.send(method, path);
      assert.deepEqual([response.status, response.headers.get("allow")], [404, null], `${method} ${path}`);
    }
  }
});
