/** Requests to an address that was checked, over TCP or TLS, whatever else the name in the URL stands for by now. */
import { type IncomingMessage, request } from "node:http";
import { isIP } from "node:net";
import { connect } from "node:tls";

export interface PinnedOptions {
  /** Where the connection goes: IPv4 or IPv6, without brackets. */
  address: string;
  port: number;
  headers: Record<string, string>;
  /** Certificates, as PEM, that servers' have to come from; Deno's own where none are given. */
  authorities?: string;
  /** Ends the request and the reading of its answer. */
  signal: AbortSignal;
}

/**
 * The answer to a GET, redirects being answers like others; to be destroyed. Of https, the certificate has to be the name's.
 *
 * node:https would ask for all of `--allow-sys`, so that TLS is put below node:http here, which needs the network alone.
 *
 * @throws Error where nothing that is one answers there
 */
export function getPinned(url: URL, options: PinnedOptions): Promise<IncomingMessage> {
  const { address: host, port, headers, authorities: ca, signal } = options;
  const name = url.hostname;
  // An address is no server's name in TLS: its certificate is checked for the address then.
  const servername = isIP(name.replace(/^\[|\]$/g, "")) ? undefined : name;
  const secure = () => connect({ host, port, ...(servername && { servername }), ...(ca && { ca }) });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request({
    host,
    port,
    path: url.pathname + url.search,
    headers: { ...headers, host: url.host, connection: "close" },
    signal,
    // Never a connection that is kept from another request.
    ...(url.protocol === "https:" ? { createConnection: secure } : { agent: false }),
  });
  asked.on("error", reject);
  // A connection may also end without an error or a response, as one does that changes its protocol unasked.
  asked.on("close", () => reject(new Error(`${host} has closed the connection`)));
  asked.on("upgrade", (_, socket) => socket.destroy());
  asked.on("response", (response) => {
    // What goes wrong later is told to whoever reads; unheard it would end the process.
    response.on("error", () => {});
    resolve(response);
  });
  asked.end();
  return promise;
}
