// The dialog in which a mask is painted over a picture. What is painted is a list of operations, so that undo is
// one operation less and needs no copies of the picture.

import { byId, closable, openDialog } from "./dom.js";

const dialog = byId("mask");
const canvas = byId("mask-canvas");
const pen = canvas.getContext("2d");
const cursor = byId("mask-cursor");
const RUBY = [224, 48, 58]; // the red of masking film
let operations = [];
let stroke = null;
let finish = () => {};

const erasing = () => dialog.querySelector('input[name="tool"]:checked').value === "eraser";
const diameter = () => (byId("mask-size").valueAsNumber / 100) * Math.min(canvas.width, canvas.height);

const modeOf = ({ erases }) => (erases ? "destination-out" : "source-over");

function inMode(mode, paint) {
  pen.save();
  pen.globalCompositeOperation = mode;
  pen.fillStyle = pen.strokeStyle = `rgb(${RUBY})`;
  paint();
  pen.restore();
}

const draw = {
  stroke: ({ size, points, ...tool }) =>
    inMode(modeOf(tool), () => {
      pen.lineWidth = size;
      pen.lineCap = pen.lineJoin = "round";
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
    }),
  rectangle: ({ box, ...tool }) => inMode(modeOf(tool), () => pen.fillRect(...box)),
  invert: () => inMode("xor", () => pen.fillRect(0, 0, canvas.width, canvas.height)),
  clear: () => pen.clearRect(0, 0, canvas.width, canvas.height),
  mask: ({ image }) => pen.drawImage(image, 0, 0, canvas.width, canvas.height),
};

/** The part of the picture that is painted, counted on a small copy. */
function share() {
  const small = new OffscreenCanvas(64, 64).getContext("2d");
  small.drawImage(canvas, 0, 0, 64, 64);
  const { data } = small.getImageData(0, 0, 64, 64);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i];
  return sum / (255 * 64 * 64);
}

function tellShare() {
  byId("mask-undo").disabled = !operations.length;
  byId("mask-error").textContent = "";
  const percent = Math.round(100 * share());
  canvas.setAttribute("aria-label", `The mask: ${percent} percent of the picture is painted`);
}

function add(operation) {
  operations.push(operation);
  draw[operation.kind](operation);
  tellShare();
}

function undo() {
  operations.pop();
  draw.clear();
  operations.forEach((each) => draw[each.kind](each));
  tellShare();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
}

function moveCursor(event) {
  const box = canvas.getBoundingClientRect();
  const size = (diameter() * box.width) / canvas.width;
  cursor.hidden = event.pointerType === "touch";
  cursor.style.width = cursor.style.height = `${size}px`;
  cursor.style.translate = `${event.clientX - box.left - size / 2}px ${event.clientY - box.top - size / 2}px`;
}

function startStroke(event) {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  stroke = { kind: "stroke", erases: erasing(), size: diameter(), points: [place(event)] };
  add(stroke);
}

function goOn(event) {
  moveCursor(event);
  if (!stroke) return;
  const from = stroke.points.at(-1);
  stroke.points.push(place(event));
  draw.stroke({ ...stroke, points: [from, stroke.points.at(-1)] });
}

function endStroke() {
  if (stroke) tellShare();
  stroke = null;
}

function applyRectangle() {
  const [left, top, width, height] = ["left", "top", "width", "height"].map((name) => byId(`rect-${name}`).valueAsNumber / 100);
  if (![left, top, width, height].every(Number.isFinite) || width <= 0 || height <= 0) {
    byId("mask-error").textContent = "The rectangle needs four numbers, and a width and height above 0.";
    return;
  }
  const box = [left * canvas.width, top * canvas.height, width * canvas.width, height * canvas.height];
  add({ kind: "rectangle", erases: erasing(), box });
}

/** A mask's brightness as opacity, which is what this canvas paints with. */
async function brightness(source) {
  const image = await loaded(new Image(), source);
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    data[i + 3] = (data[i] + data[i + 1] + data[i + 2]) / 3;
    data.set(RUBY, i);
  }
  copy.putImageData(pixels, 0, 0);
  return copy.canvas;
}

async function loaded(image, source) {
  image.src = source;
  await image.decode();
  return image;
}

/** The painting as white on black, of the size of the picture. */
function asFile() {
  const flat = new OffscreenCanvas(canvas.width, canvas.height);
  const paper = flat.getContext("2d");
  paper.drawImage(canvas, 0, 0);
  for (const [mode, colour] of [["source-in", "#fff"], ["destination-over", "#000"]]) {
    paper.globalCompositeOperation = mode;
    paper.fillStyle = colour;
    paper.fillRect(0, 0, canvas.width, canvas.height);
  }
  return flat.convertToBlob({ type: "image/png" });
}

async function use() {
  if (share() === 0) {
    byId("mask-error").textContent = "Nothing is painted yet. Paint what may change, or close this window.";
    return;
  }
  finish(await asFile());
  dialog.close();
}

function tellSize() {
  byId("mask-size-text").textContent = `${byId("mask-size").value} %`;
}

/** Let a person paint over the picture at `source`, on from the mask at `before`; a PNG, or null when given up. */
export async function paintMask(source, before) {
  const picture = await loaded(byId("mask-picture"), source);
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  byId("mask-board").style.setProperty("--ratio", canvas.width / canvas.height);
  operations = before ? [{ kind: "mask", image: await brightness(before) }] : [];
  operations.forEach((each) => draw[each.kind](each));
  openDialog(dialog);
  tellShare();
  tellSize();
  return new Promise((resolve) => {
    finish = resolve;
    dialog.addEventListener("close", () => resolve(null), { once: true }); // too late if a mask was taken
  });
}

closable(dialog, { holdsWork: true });
canvas.addEventListener("pointerdown", startStroke);
canvas.addEventListener("pointermove", goOn);
canvas.addEventListener("pointerup", endStroke);
canvas.addEventListener("pointercancel", endStroke);
canvas.addEventListener("pointerleave", () => (cursor.hidden = true));
byId("mask-size").addEventListener("input", tellSize);
byId("mask-undo").addEventListener("click", undo);
byId("mask-invert").addEventListener("click", () => add({ kind: "invert" }));
byId("mask-clear").addEventListener("click", () => add({ kind: "clear" }));
byId("rect-apply").addEventListener("click", applyRectangle);
byId("mask-use").addEventListener("click", use);
dialog.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (operations.length) undo();
  }
});
