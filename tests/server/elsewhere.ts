/** Servers of pictures on this machine, as tests of fetching have them. */
import { type Fetching, RemotePictures } from "../../src/server/remote.ts";

/** A file beside the tests. */
const fileOf = (path: string) => new URL(path, import.meta.url);

/** A picture. */
export const png: Uint8Array<ArrayBuffer> = await Deno.readFile(fileOf("../oracle/bad/pictures/ok_rgb.png"));

/** The answer that it comes in. */
export const picture = () => new Response(png, { headers: { "content-type": "image/png" } });

// A certificate of pictures.test, 127.0.0.1 and ::1 until 2126, with its key and who vouches for it: nobody else does.
const [authorities, certificate, key] = ["authority", "certificate", "key"].map((name) =>
  Deno.readTextFileSync(fileOf(`tls/${name}.pem`))
);

interface Where {
  tls?: boolean;
  /** The address that the server listens at and every name of .test stands for. */
  host?: string;
}

/** A server on this machine, and what resolves names to it and lets it be reached, which else is not public. */
export function elsewhere(
  answer: (request: Request) => Response | Promise<Response>,
  { tls, host = "127.0.0.1" }: Where = {},
) {
  const seen: string[] = [];
  const scheme = tls ? "https" : "http";
  const listening = { hostname: host, port: 0, onListen: () => {} };
  const server = Deno.serve(tls ? { ...listening, cert: certificate, key } : listening, (request) => {
    seen.push(request.url);
    return answer(request);
  });
  const { port } = server.addr;
  const names: Record<string, string[]> = { "inside.test": [host, "10.0.0.1"] };
  const resolved: string[] = [];
  const resolve = (name: string) => {
    resolved.push(name);
    return Promise.resolve(names[name] ?? (name.endsWith(".test") ? [host] : [name]));
  };
  const allows = (address: string, to: number) => address === host && to === port;
  return {
    at: (path: string) => `${scheme}://pictures.test:${port}/${path}`,
    port,
    seen,
    resolved,
    options: { resolve, allows, authorities: tls ? authorities : undefined },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A server that sends one text to whoever connects and hangs up, or keeps silent without one; it has what it got first. */
export function raw(text?: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr, got: Uint8Array[] = [], open: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      const bytes = new Uint8Array(4096);
      got.push(bytes.subarray(0, await connection.read(bytes) ?? 0));
      if (text === undefined) {
        open.push(connection);
        continue;
      }
      await connection.write(new TextEncoder().encode(text));
      connection.close();
    }
  })();
  return {
    port,
    got,
    options: {
      resolve: () => Promise.resolve(["127.0.0.1"]),
      allows: (address: string, to: number) => address === "127.0.0.1" && to === port,
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const connection of open) connection.close();
    },
  };
}

/** For a client that stays. */
export const fetching: Fetching = { grow: () => {}, signal: new AbortController().signal };

/** The picture at an address, as the field `init_image`. */
export async function fetched(remote: RemotePictures, address: string, how = fetching): Promise<unknown> {
  const fields = new Map<string, unknown>([["init_image", address]]);
  await remote.fill(fields, how);
  return fields.get("init_image");
}
