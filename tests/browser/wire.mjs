// What lies between a browser and a server: a proxy that can be cut, and that can answer for the server as others do.
import http from "node:http";

export class Wire {
  #server;
  #port;
  #target;
  /** The path that is answered for the server, and with which status, where there is one. */
  refused;
  /** What breaks the connection on which a server is about to send it, where there is something. */
  breaking;

  /** A wire to the server at an address. */
  static async to(target) {
    const wire = new Wire();
    wire.#target = target;
    await wire.mend();
    return wire;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Takes connections, at the same port as before. */
  async mend() {
    this.#server = http.createServer((asked, answer) => this.#pass(asked, answer));
    await new Promise((resolve) => this.#server.listen(this.#port ?? 0, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
  }

  /** Breaks all connections and takes no others. */
  async cut() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #pass(asked, answer) {
    const { method, headers, url } = asked;
    if (url === this.refused?.path) return answer.writeHead(this.refused.status).end("<h1>A proxy's own page</h1>");
    const onward = http.request(new URL(url, this.#target), { method, headers }, (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      const end = () => answer.end();
      answered.on("end", end);
      answered.on("data", (bytes) => {
        const at = this.breaking === undefined ? -1 : bytes.indexOf(this.breaking);
        if (at < 0) return answer.write(bytes);
        answered.off("end", end);
        answer.write(bytes.subarray(0, at), () => answer.destroy());
      });
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  }
}
