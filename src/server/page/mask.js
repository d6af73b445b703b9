/** The mask, painted on the picture with a finger, a mouse, a pen or keys. */
const canvas = document.querySelector("#mask"), brush = document.querySelector("#brush");
const context = canvas.getContext("2d");

/** Painted in a colour that pictures seldom have; the server gets white on black. */
const colour = "#ff2bd6";

let isPainted = false;
/** Where the brush is, in pixels of the picture. */
let at = { x: 0, y: 0 };

/** An empty mask of the picture's size. */
export function resizeMask({ width, height }) {
  Object.assign(canvas, { width, height });
  at = { x: width / 2, y: height / 2 };
  isPainted = false;
}

export function clearMask() {
  context.clearRect(0, 0, canvas.width, canvas.height);
  isPainted = false;
}

/** The mask as a PNG, white where it is painted and black elsewhere; undefined where nothing is. */
export async function maskOf() {
  if (!isPainted) return undefined;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const pen = copy.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  const paint = (mode, fillStyle) => {
    Object.assign(pen, { globalCompositeOperation: mode, fillStyle });
    pen.fillRect(0, 0, copy.width, copy.height);
  };
  paint("source-in", "white");
  paint("destination-over", "black");
  return await new Promise((resolve) => copy.toBlob(resolve, "image/png"));
}

/** The brush's width in pixels of the picture: a share of its shorter side. */
function brushWidth() {
  return Math.max(1, (brush.value / 100) * Math.min(canvas.width, canvas.height));
}

/** Paints from where the brush is to the next point: a dot where that is the same, which a stroke would leave out. */
function strokeTo(next) {
  Object.assign(context, { lineCap: "round", lineWidth: brushWidth(), strokeStyle: colour, fillStyle: colour });
  context.beginPath();
  context.moveTo(at.x, at.y);
  context.lineTo(next.x, next.y);
  context.stroke();
  context.beginPath();
  context.arc(next.x, next.y, brushWidth() / 2, 0, 2 * Math.PI);
  context.fill();
  at = next;
  isPainted = true;
}

function pointOf(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return { x: ((event.clientX - left) * canvas.width) / width, y: ((event.clientY - top) * canvas.height) / height };
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  at = pointOf(event);
  strokeTo(at);
});
canvas.addEventListener("pointermove", (event) => {
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  for (const move of moves.length > 0 ? moves : [event]) {
    strokeTo(pointOf(move));
  }
});

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Whether Space is held: then the arrows paint as they move. */
let held = false;
canvas.addEventListener("keydown", (event) => {
  const move = arrows[event.key];
  if (!move && event.key !== " ") return;
  event.preventDefault();
  if (!move) {
    held = true;
    return strokeTo(at);
  }
  const inside = (value, most) => Math.min(most, Math.max(0, value)), far = brushWidth() / 2;
  const next = { x: inside(at.x + move[0] * far, canvas.width), y: inside(at.y + move[1] * far, canvas.height) };
  if (held) strokeTo(next);
  else at = next;
  showBrush();
});
canvas.addEventListener("keyup", (event) => {
  if (event.key === " ") held = false;
});
canvas.addEventListener("blur", () => (held = false));

/** Tells where the brush is, for those who move it with keys. */
function showBrush() {
  const percent = (value, most) => Math.round((100 * value) / most);
  const where = `${percent(at.x, canvas.width)} % across, ${percent(at.y, canvas.height)} % down`;
  canvas.setAttribute("aria-label", `Mask: what is painted is made anew. Brush ${where}`);
}

document.querySelector("#clear-mask").addEventListener("click", clearMask);
