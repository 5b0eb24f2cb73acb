// The pictures that were made: search, recipe, replay, variations, downloads.

import { attempt, get, post } from "./api.js";
import { announce, byId, closable, element, openDialog, shortened } from "./dom.js";
import { compare } from "./compare.js";
import { download, fileOf, picture, pictureOf } from "./files.js";
import { take } from "./form.js";
import * as jobs from "./jobs.js";
import { startFrom } from "./pictures.js";
import { follow } from "./stage.js";

const PAGE = 60;
const dialog = byId("item");
let items = [];
let total = 0;
let asked = 0; // number of the latest search, whose answer counts
let opened = null; // the picture in the dialog
let partner = null; // the picture to compare with the next one that is chosen

const path = (id) => `/api/gallery/${encodeURIComponent(id)}`;
const named = (item) => shortened(item.prompt || item.name);

function thumb(item) {
  const image = element("img", { src: item.thumb, alt: item.prompt || item.name, loading: "lazy", draggable: false });
  if (item.width && item.height) [image.width, image.height] = [item.width, item.height];
  const made = element("button", { type: "button", onclick: () => chosen(item) }, image);
  const films = item.files.some((file) => file.kind === "mp4" || file.kind === "gif");
  if (films) made.append(element("span", { className: "tag" }, "film"));
  return element("li", {}, made);
}

function render() {
  byId("gallery-list").replaceChildren(...items.map(thumb));
  byId("gallery-more").hidden = items.length >= total;
  byId("gallery-count").textContent = total ? `${total} ${total === 1 ? "picture" : "pictures"}` : "";
  const searched = byId("gallery-search").value.trim();
  byId("gallery-empty").hidden = Boolean(items.length);
  byId("gallery-empty").textContent = searched ? `No picture has “${searched}” in its prompt.` : "What you draw is kept here.";
}

async function load(offset = 0, limit = PAGE) {
  const number = ++asked;
  const query = new URLSearchParams({ q: byId("gallery-search").value.trim(), offset, limit });
  const found = await attempt(byId("gallery-error"), () => get(`/api/gallery?${query}`));
  if (!found || number !== asked) return;
  items = [...items.slice(0, offset), ...found.items];
  total = found.total;
  render();
}

const reload = () => load(0, Math.max(PAGE, items.length));

function chosen(item) {
  if (!partner) return open(item.id);
  const first = partner;
  pick(null);
  return compare(first, item);
}

function pick(item) {
  partner = item;
  byId("picking").hidden = !item;
  byId("picking").firstElementChild.textContent = item ? `Choose a picture to compare with “${named(item)}”.` : "";
  byId("gallery-list").classList.toggle("choosing", Boolean(item));
}

function showFilm(film) {
  const [image, video] = [byId("item-image"), byId("item-film")];
  video.hidden = film?.kind !== "mp4";
  image.hidden = !video.hidden;
  if (film?.kind === "mp4") {
    video.src = film.url;
    video.play().catch(() => {}); // its own buttons are there
  } else {
    video.removeAttribute("src");
    video.load();
    image.src = film?.url ?? picture(opened);
  }
  byId("item-watch").textContent = film ? "Show the picture" : "Watch the film";
}

const watching = () => !byId("item-film").hidden || byId("item-image").src.endsWith(".gif");

/** Open a picture of the gallery in its dialog. */
export async function open(id) {
  const item = await attempt(dialog.open ? byId("item-error") : byId("gallery-error"), () => get(path(id)));
  if (!item) return;
  opened = item;
  byId("item-prompt").textContent = item.prompt || item.name;
  const size = item.width ? `${item.width} × ${item.height}` : null;
  const made = item.created ? new Date(item.created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : null;
  byId("item-facts").textContent = [size, item.seed === null ? null : `seed ${item.seed}`, made].filter(Boolean).join(" · ");
  byId("item-image").alt = item.prompt || item.name;
  byId("item-files").replaceChildren(...item.files.map((file) => element("li", {}, download(file))));
  byId("item-watch").hidden = !(fileOf(item, "mp4") ?? fileOf(item, "gif"));
  byId("item-recipe").hidden = !item.recipe;
  byId("item-recipe").lastElementChild.textContent = item.recipe ?? "";
  for (const name of ["use", "replay", "vary"]) byId(`item-${name}`).disabled = !item.request;
  byId("item-error").textContent = item.request ? "" : "This file has no recipe, so that it cannot be made again.";
  const place = items.findIndex((each) => each.id === id);
  byId("item-before").disabled = place <= 0;
  byId("item-after").disabled = place < 0 || place >= items.length - 1;
  showFilm(null);
  openDialog(dialog);
}

function turn(by) {
  const place = items.findIndex((each) => each.id === opened.id);
  const next = place < 0 ? undefined : items[place + by];
  if (next) open(next.id);
}

/** Put jobs into the queue that come from the opened picture. */
async function again(what, data) {
  const made = await attempt(byId("item-error"), () => post(`${path(opened.id)}/${what}`, data));
  if (!made) return;
  made.forEach(jobs.meet);
  dialog.close();
  follow(made[0]);
  announce(made.length === 1 ? "Added to the queue." : `${made.length} pictures added to the queue.`);
  byId("stage").focus();
}

async function start() {
  const bytes = await fetch(picture(opened)).then((answer) => (answer.ok ? answer.blob() : null), () => null);
  if (!bytes) {
    byId("item-error").textContent = "The file of this picture could not be read.";
    return;
  }
  const sent = await startFrom(new File([bytes], pictureOf(opened)?.name ?? "picture.png", { type: bytes.type }), byId("item-error"));
  if (!sent) return;
  dialog.close();
  byId("prompt").focus();
}

function onEvent(kind, job, before) {
  if (kind === "job" && job.picture && (before?.picture !== job.picture || before.state !== job.state)) reload();
}

function wireDialog() {
  closable(dialog);
  dialog.addEventListener("close", () => byId("item-film").pause());
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("video, pre, input")) return; // they use the arrows themselves
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
  const actions = {
    before: () => turn(-1),
    after: () => turn(1),
    use: () => (dialog.close(), take(opened.request)),
    replay: () => again("replay"),
    vary: () => again("variations", { count: 4 }),
    start,
    compare: () => (dialog.close(), pick(opened), byId("gallery-list").querySelector("button")?.focus()),
    watch: () => showFilm(watching() ? null : (fileOf(opened, "mp4") ?? fileOf(opened, "gif"))),
  };
  for (const [name, action] of Object.entries(actions)) byId(`item-${name}`).addEventListener("click", action);
}

/** Wire the gallery and show its first pictures. */
export function setUp() {
  let wait;
  byId("gallery-search").addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(load, 200);
  });
  byId("gallery-more").addEventListener("click", () => load(items.length));
  byId("picking").lastElementChild.addEventListener("click", () => pick(null));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && partner) pick(null);
  });
  wireDialog();
  jobs.listen(onEvent);
  load();
}
