// The form: what a picture is asked for with, and back from a recipe.

import { attempt, post, send } from "./api.js";
import { announce, byId, element, reveal } from "./dom.js";
import * as pictures from "./pictures.js";
import * as settings from "./settings.js";
import * as weights from "./weights.js";

const DRAFT = "clipgen-draft";
const films = () => [...document.querySelectorAll('input[name="film"]')];

/** The form as a request. */
export function request() {
  const chosen = settings.values();
  for (const name of ["preset", "backend"]) if (byId(name).value) chosen[name] = byId(name).value;
  return {
    prompt: byId("prompt").value.trim(),
    negative: byId("negative").value.trim() || null,
    ...pictures.values(),
    settings: chosen,
    films: films().filter((each) => each.checked).map((each) => each.value),
  };
}

/** Show a request in the form. */
export function fill(asked) {
  byId("prompt").value = asked.prompt ?? "";
  byId("negative").value = asked.negative ?? "";
  for (const name of ["preset", "backend"]) choose(byId(name), asked.settings?.[name]);
  for (const each of films()) each.checked = (asked.films ?? []).includes(each.value);
  settings.fill(asked.settings ?? {});
  pictures.fill(asked);
  grow();
  keep();
}

function choose(select, value = "") {
  const known = [...select.options].some((each) => each.value === value);
  if (!known) select.append(element("option", { value }, value)); // a folder of the user's own, from a recipe
  select.value = value;
  select.dispatchEvent(new Event("change"));
}

function offer(select, summary, rows) {
  const texts = new Map(rows.map((row) => [row.name, row.summary]));
  const names = rows.map((row) => row.name).filter((name) => name !== "auto");
  const options = names.map((name) => element("option", { value: name }, name));
  select.replaceChildren(element("option", { value: "" }, "Automatic"), ...options);
  select.addEventListener("change", () => {
    summary.textContent = texts.get(select.value || "auto") ?? "";
  });
}

/** The prompt's box is as high as its text. */
function grow() {
  const box = byId("prompt");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 320)}px`;
}

function keep() {
  weights.follow();
  try {
    sessionStorage.setItem(DRAFT, JSON.stringify(request()));
  } catch {
    // a browser that stores nothing; the form works all the same
  }
}

function restore() {
  try {
    const draft = JSON.parse(sessionStorage.getItem(DRAFT));
    if (draft) fill(draft);
  } catch {
    // as above
  }
}

/** Lead to what an error is about. */
const lead = (error) => weights.lead(error) || settings.lead(error);

async function draw(drawn) {
  byId("prompt-error").textContent = byId("draw-error").textContent = byId("draw-note").textContent = "";
  const asked = request();
  if (!asked.prompt && !asked.image_prompts.length) {
    byId("prompt-error").textContent = "Say what the picture should show.";
    byId("prompt").focus();
    return;
  }
  byId("draw").disabled = true;
  const patience = setTimeout(() => (byId("draw-note").textContent = "Getting ready…"), 600);
  const job = await attempt(byId("draw-error"), () => post("/api/jobs", asked));
  clearTimeout(patience);
  byId("draw-note").textContent = "";
  byId("draw").disabled = false;
  if (job) drawn(job);
  else lead(byId("draw-error").textContent);
}

/** Fill the form with the recipe in a picture that clipgen made. */
export async function loadRecipe(file) {
  byId("draw-note").textContent = "";
  const found = await attempt(byId("draw-error"), () => send(file, "/api/recipes"));
  if (!found) return reveal(byId("draw-error"));
  fill(found.request);
  const notes = [`The recipe of ${found.name || "the picture"} is in the form.`, ...(found.notes ?? [])];
  byId("draw-note").textContent = notes.join(" ");
  byId("prompt").focus();
}

/** Begin again with a request that something else on the page offers. */
export function take(asked) {
  fill(asked);
  reveal(byId("form"));
  byId("prompt").focus({ preventScroll: true });
  announce("The settings are in the form.");
}

/** Wire the form; `drawn(job)` is called with each new job. */
export function setUp(options, drawn) {
  offer(byId("preset"), byId("preset-summary"), options.presets);
  offer(byId("backend"), byId("backend-summary"), options.backends);
  settings.build(options.fields, keep);
  pictures.setUp(keep);
  byId("prompt").addEventListener("input", grow);
  byId("form").addEventListener("input", keep);
  byId("form").addEventListener("change", keep);
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw(drawn);
  });
  byId("form").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      byId("form").requestSubmit();
    } else if (event.key === "Enter" && event.target.matches("input:not([type=file])")) event.preventDefault(); // does not draw by accident
  });
  byId("recipe-file").addEventListener("change", ({ target }) => {
    loadRecipe(target.files[0]);
    target.value = "";
  });
  restore();
}
