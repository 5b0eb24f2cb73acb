// Two pictures in one place, with a slider that moves the border between them.

import { byId, closable, openDialog } from "./dom.js";
import { picture } from "./files.js";

const dialog = byId("compare");
const slider = byId("compare-slider");
const view = dialog.querySelector(".pair-view");

const move = () => view.style.setProperty("--share", `${slider.value}%`);

const words = (item) => `${item.prompt || item.name}${item.seed === null ? "" : ` · seed ${item.seed}`}`;

function follow(event) {
  if (!event.buttons && event.type === "pointermove") return;
  const box = view.getBoundingClientRect();
  slider.value = (100 * (event.clientX - box.left)) / box.width;
  move();
}

/** Open the dialog with these two items of the gallery. */
export function compare(left, right) {
  for (const [side, item] of Object.entries({ left, right })) {
    byId(`compare-${side}`).src = picture(item);
    byId(`compare-${side}`).alt = item.prompt || item.name;
    byId(`compare-${side}-text`).textContent = words(item);
  }
  slider.value = 50;
  move();
  openDialog(dialog);
  slider.focus();
}

closable(dialog);
slider.addEventListener("input", move);
view.addEventListener("pointerdown", (event) => {
  view.setPointerCapture(event.pointerId);
  follow(event);
});
view.addEventListener("pointermove", follow);
