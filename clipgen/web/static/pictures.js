// The pictures that a run works from: the one it starts at, its mask, and those that it is to be like.

import { attempt, send } from "./api.js";
import { announce, byId, element, button } from "./dom.js";
import { paintMask } from "./mask.js";

const MOST = 8;
let init = null;
let mask = null;
let likes = [];
let changed = () => {};

const url = (upload) => `/api/uploads/${encodeURIComponent(upload)}`;

function update() {
  byId("init-view").hidden = byId("init-actions").hidden = !init;
  byId("init-tile").classList.toggle("filled", Boolean(init));
  byId("init-label").textContent = init ? "Another picture" : "Start from a picture";
  if (init) byId("init-image").src = url(init);
  else byId("init-image").removeAttribute("src");
  const tint = byId("mask-tint");
  tint.hidden = byId("mask-remove").hidden = !mask;
  tint.style.maskImage = mask ? `url("${url(mask)}")` : "";
  byId("mask-open").textContent = mask ? "Change the mask" : "Paint a mask";
  changed();
}

export function setInit(upload) {
  init = upload;
  mask = null;
  update();
}

function likeRow(like) {
  const weight = element("input", {
    type: "number", step: "0.1", value: like.weight, oninput: () => {
      like.weight = weight.validity.badInput || weight.value === "" ? 1 : Number(weight.value);
      changed();
    },
  });
  const remove = button("Remove", () => {
    likes = likes.filter((each) => each !== like);
    showLikes();
    byId("like-file").focus();
  }, { className: "bare" });
  const image = element("img", { src: url(like.upload), alt: "A picture to be like", onerror: () => row.classList.add("gone") });
  const row = element("li", {}, image, element("label", {}, "Weight ", weight), remove);
  return row;
}

function showLikes() {
  byId("likes").replaceChildren(...likes.map(likeRow));
  changed();
}

/** What of a request is pictures. */
export const values = () => ({ init, mask, image_prompts: likes.map(({ upload, weight }) => ({ upload, weight })) });

export function fill(request) {
  init = request.init ?? null;
  mask = request.mask ?? null;
  likes = (request.image_prompts ?? []).filter((each) => each.upload).map((each) => ({ ...each }));
  update();
  showLikes();
}

const alert = () => byId("pictures-error");

/** Send a file and start from it. */
export async function startFrom(file, shown = alert()) {
  const sent = await attempt(shown, () => send(file));
  if (sent) {
    setInit(sent.id);
    announce("The run will start from this picture.");
  }
  return sent;
}

async function beLike(files) {
  for (const file of files) {
    if (likes.length >= MOST) {
      alert().textContent = `At most ${MOST} pictures to be like are taken.`;
      return;
    }
    const sent = await attempt(alert(), () => send(file));
    if (!sent) return;
    likes.push({ upload: sent.id, weight: 1 });
    showLikes();
    announce("Added a picture to be like.");
  }
}

async function openMask() {
  const painted = await paintMask(url(init), mask && url(mask));
  if (!painted) return;
  const sent = await attempt(alert(), () => send(new File([painted], "mask.png", { type: "image/png" })));
  if (!sent) return;
  mask = sent.id;
  update();
  announce("The mask is set.");
}

function takes(tile, input, use) {
  const busyWith = async (files) => {
    tile.setAttribute("aria-busy", "true"); // the first picture takes the server seconds
    try {
      await use(files);
    } finally {
      tile.removeAttribute("aria-busy");
    }
  };
  input.addEventListener("change", () => {
    busyWith([...input.files]);
    input.value = ""; // the same file can be chosen again
  });
  tile.addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length) busyWith(files);
  });
}

/** Wire the tiles; `onChange` is called after each change. */
export function setUp(onChange) {
  changed = onChange;
  takes(byId("init-tile"), byId("init-file"), ([file]) => startFrom(file));
  takes(byId("like-tile"), byId("like-file"), beLike);
  byId("mask-open").addEventListener("click", openMask);
  byId("mask-remove").addEventListener("click", () => {
    mask = null;
    update();
    byId("mask-open").focus();
  });
  byId("init-remove").addEventListener("click", () => {
    setInit(null);
    byId("init-file").focus();
  });
  byId("init-image").addEventListener("error", () => {
    if (!init) return;
    setInit(null);
    alert().textContent = "The picture to start from is no longer there; add it again.";
  });
}
