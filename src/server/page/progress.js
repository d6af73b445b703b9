/** The picture in the making: previews, how far it is, how long it still takes. */
const frame = document.querySelector("#picture"), bar = document.querySelector("#progress");
const empty = document.querySelector("#empty");
const news = document.querySelector("#news"), running = document.querySelector("#running");
const make = document.querySelector("#make");
/** Whether this person has asked for pages that do not move. */
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Shows that a picture is being made, or that none is. */
export function working(on) {
  if (!on && running.contains(document.activeElement)) make.focus(); // what is hidden loses the focus to nowhere
  running.hidden = !on;
  make.setAttribute("aria-disabled", on); // not disabled: it keeps the focus
  if (on) {
    bar.removeAttribute("value");
    tell("Sending…");
    document.querySelector("#stage").scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  }
}

export function tell(text) {
  news.textContent = text;
}

/** Shows a PNG, a preview or the picture itself. */
export function show(url, alt) {
  if (frame.src.startsWith("blob:")) URL.revokeObjectURL(frame.src);
  Object.assign(frame, { src: url, alt, hidden: false });
  empty.hidden = true;
}

/** Shows an event of the server's; the picture itself is somebody else's. */
export function follow() {
  let spent = 0;
  return (event) => {
    switch (event.type) {
      case "queued":
        return tell(event.position > 0 ? `Waiting behind ${plural(event.position, "other")}` : "Next to be made");
      case "started":
        return tell("Reading the prompt…");
      case "progress": {
        const { step, steps, ms } = event;
        spent += ms;
        Object.assign(bar, { max: steps, value: step });
        const left = (spent / step) * (steps - step);
        return tell(step < steps ? `Step ${step} of ${steps}, ${duration(left)} left` : "Turning it into pixels…");
      }
      case "preview":
        return show(`data:image/png;base64,${event.b64}`, `Preview after step ${event.step}`);
    }
  };
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** "3 s", "2 min 5 s" */
function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
