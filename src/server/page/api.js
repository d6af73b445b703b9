/** What the page asks the server. The key, where one is needed, is kept in this tab's sessionStorage. */

const storedKey = "key";

/** The server's refusal: its sentence, and the field that it names. */
export class ServerError extends Error {
  /** @param {{message: string, param?: string | null, code?: string}} error */
  constructor({ message, param, code }, status = 0) {
    super(message);
    this.field = param ?? undefined;
    this.code = code;
    this.status = status;
  }
}

/** An answer that ended too early, for which browsers' own words are "network error" and the like. */
export class BrokenOff extends ServerError {
  constructor() {
    super({ message: "The connection to the server broke before the picture was done, making it again would do" });
  }
}

/**
 * Asks the server, with a key where it wants one: `askKey` is given what was wrong with the last one. Credentials are left
 * out so that no browser opens a window of its own for the key.
 */
export async function ask(path, init = {}, askKey = askForKey) {
  for (let refused = "";;) {
    const key = sessionStorage.getItem(storedKey);
    const headers = key ? { ...init.headers, authorization: `Bearer ${key}` } : init.headers;
    const response = await fetch(path, { ...init, headers, credentials: "omit", cache: "no-store" }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new ServerError({ message: "The server does not answer; is it running?" });
    });
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    const message = error?.message ?? `The server answered ${response.status}`;
    if (response.status !== 401) {
      throw new ServerError({ ...error, message }, response.status);
    }
    if (key) refused = "The key is not known, another one would do"; // in people's words, not a header's
    sessionStorage.setItem(storedKey, await askKey(refused));
  }
}

/** The objects of an answer in NDJSON, one a line, as they come. */
export async function* linesOf(response) {
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    while (true) {
      const { done, value } = await reader.read().catch((error) => {
        if (error.name === "AbortError") throw error;
        throw new BrokenOff();
      });
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) yield JSON.parse(line);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The dialog's promise while it is open, so that several requests share one. */
let asked;

function askForKey(refused) {
  return (asked ??= new Promise((resolve) => {
    const dialog = document.querySelector("#key-dialog"), input = document.querySelector("#key");
    document.querySelector("#key-error").textContent = refused;
    input.value = "";
    dialog.oncancel = (event) => event.preventDefault();
    document.querySelector("#key-form").onsubmit = () => {
      asked = undefined;
      resolve(input.value.trim());
    };
    dialog.showModal();
  }));
}
