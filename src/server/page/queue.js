/** The state of the server's queue, asked for again and again while the page is looked at. */
const line = document.querySelector("#queue");
const everyMs = 4000;

/** Begins to ask; returns a function that asks at once. */
export function watchQueue() {
  const look = async () => {
    if (!document.hidden) line.textContent = await state();
  };
  setInterval(look, everyMs);
  document.addEventListener("visibilitychange", look);
  look();
  return look;
}

async function state() {
  try {
    const response = await fetch("/health", { credentials: "omit", signal: AbortSignal.timeout(everyMs) });
    const { live, status, model, adapter, queue, error } = await response.json();
    if (!live || status === "failed") return `The server cannot make pictures: ${error}`;
    if (status === "loading") return "The model is loading…";
    if (status === "recovering") return "The GPU failed and is started again…";
    if (status === "draining") return "The server is stopping";
    const { length, capacity } = queue;
    const held = length === 0 ? "nothing queued" : `${length} of ${capacity} places of the queue taken`;
    return `${model.name} on ${adapter.name}${adapter.software ? " (software)" : ""}, ${held}`;
  } catch {
    return "The server does not answer";
  }
}
