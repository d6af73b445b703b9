import assert from "node:assert/strict";
import { serve } from "./serve.ts";

Deno.test("a header Host that makes no address of the request is refused, and nothing is logged as the server's fault", async () => {
  using server = serve();
  const listening = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, server.app.fetch);
  for (const host of ["a b", "evil.test:99999", "[::1", "a:b:c", "%"]) {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: listening.addr.port });
    const request = `GET /generate?prompt=x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    const answer = await new Response(connection.readable).text();
    assert.match(answer, /^HTTP\/1\.1 400 /, host);
    assert.match(answer, /"The header Host is \\".*, a name or address and perhaps a port would do"/, host);
  }
  assert.deepEqual([server.logged, server.engine.jobs.length], [[], 0]);
  await listening.shutdown();
});
