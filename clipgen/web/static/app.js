// The page: wires its parts to each other.

import { ApiError, get, limitUploads } from "./api.js";
import { byId, button, element, reveal } from "./dom.js";
import * as form from "./form.js";
import * as gallery from "./gallery.js";
import * as jobs from "./jobs.js";
import * as queue from "./queue.js";
import * as stage from "./stage.js";
import * as weights from "./weights.js";

const EXAMPLES = ["a red lighthouse at sunset", "a blue flower in the snow", "two houses at night"];

/** Dropped files are pictures on a tile, and recipes elsewhere; never pages that replace this one. */
function takeDrops() {
  let leaving;
  const dragging = (on) => {
    document.body.classList.toggle("dragging", on);
    byId("drop-hint").hidden = !on;
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    clearTimeout(leaving);
    leaving = setTimeout(() => dragging(false), 300); // it comes several times a second while something is dragged
    if (event.dataTransfer.types.includes("Files")) dragging(true);
  });
  document.addEventListener("drop", (event) => {
    const taken = event.defaultPrevented; // by a tile
    event.preventDefault();
    dragging(false);
    const [file] = event.dataTransfer.files;
    if (file && !taken && !document.querySelector("dialog[open]")) form.loadRecipe(file);
  });
}

function offerExamples() {
  const rows = EXAMPLES.map((text) => button(text, () => {
    byId("prompt").value = text;
    byId("prompt").dispatchEvent(new Event("input", { bubbles: true }));
    byId("prompt").focus();
  }));
  byId("examples").replaceChildren(...rows.map((each) => element("li", {}, each)));
}

function drawn(job) {
  stage.follow(job);
  reveal(byId("stage"));
}

function connected(yes) {
  byId("connection").textContent = yes ? "" : "The connection to clipgen is lost. Trying again…";
  if (yes) weights.refresh();
}

async function start() {
  offerExamples();
  takeDrops();
  const [options] = await Promise.all([get("/api/options"), jobs.load()]);
  limitUploads(options.limits.upload_bytes);
  form.setUp(options, drawn);
  stage.setUp(gallery.open);
  queue.setUp();
  gallery.setUp();
  weights.setUp();
  jobs.keepUp(connected, { weights: weights.learn });
}

start().catch((error) => {
  byId("draw-error").textContent = error instanceof ApiError ? `${error.message} Then load this page again.` : String(error);
});
