/** A server in a process of its own, to be measured over HTTP. */
const root = new URL("../../../", import.meta.url);

/** Starts a server, hands its address to `run`, and ends it. */
export async function withServer<Result>(
  { model, gpu, flags = [] }: { model: string; gpu?: string; flags?: readonly string[] },
  run: (url: string) => Promise<Result>,
): Promise<Result> {
  const args = ["task", "--quiet", "serve", "--port", "0", "--model", model, ...gpu ? ["--gpu", gpu] : [], ...flags];
  const command = new Deno.Command(Deno.execPath(), { args, cwd: root, stdout: "piped", stderr: "null" });
  const server = command.spawn();
  try {
    return await run(await addressOf(server.stdout));
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

/** The first address that a server writes; what it writes later is passed over. */
async function addressOf(out: ReadableStream<Uint8Array>): Promise<string> {
  const found = Promise.withResolvers<string>();
  (async () => {
    let text = "";
    for await (const piece of out) {
      text += new TextDecoder().decode(piece);
      const url = /http:\/\/[^,\s"]+/.exec(text)?.[0];
      if (url) found.resolve(url);
    }
    found.reject(new Error(`The server did not start: ${text.trim()}`));
  })();
  return await found.promise;
}
