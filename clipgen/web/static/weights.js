// What the chosen preset needs and this machine lacks, and the download of it.

import { attempt, get, post } from "./api.js";
import { announce, byId, element, reveal } from "./dom.js";

const CHOOSING = ["backend", "setting-recipe", "setting-start"]; // ids of the inputs that choose models beside the preset
const LACKS = "not on this machine"; // in the error of a job whose models are missing
const OPEN = ["running", "stopping"];
const presets = new Map(); // what each needs with the other choices
let offline = false;
let download = null; // the one that runs, or was the last
let shown = ""; // the choices that it is about
let refused = ""; // why the server would not begin or stop one
let asked = 0; // number of the newest question to the server
let heard = 0; // number of events; they are newer than an answer that comes after them

const preset = () => byId("preset").value || "auto";
const name = (each) => (each === "auto" ? "Automatic" : each);
const alert = byId("weights-error");

/** Bytes in units of 1000, as the sizes of downloads are published. */
function size(bytes) {
  if (bytes < 1e6) return bytes < 1000 ? `${bytes} B` : `${(bytes / 1e3).toFixed(0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

const sum = (files, key) => files.reduce((all, file) => all + file[key], 0);

function choices() {
  const found = CHOOSING.map((id) => [id.replace("setting-", ""), byId(id)?.value]);
  return Object.fromEntries(found.filter(([, value]) => value));
}

/** Ask the server what is missing now. */
export async function refresh() {
  const [number, before] = [++asked, heard];
  const told = await get(`/api/weights?${new URLSearchParams(choices())}`).catch(() => null);
  if (!told || number !== asked) return; // something else is asked for meanwhile
  presets.clear();
  for (const each of told.presets) presets.set(each.preset, each);
  offline = told.offline;
  if (heard === before) download = told.download;
  render();
}

const amount = (need) => `${need.exact ? "" : "about "}${size(need.bytes)}`;

function missing(need) {
  const arrived = sum(need.files, "bytes") - need.bytes;
  const part = arrived > 0 ? `; ${size(arrived)} have arrived` : "";
  const off = offline ? " Downloads are switched off by HF_HUB_OFFLINE." : "";
  return `${amount(need)} that this preset needs are not on this machine yet${part}.${off}`;
}

function running() {
  const { bytes, total, number, count } = download;
  const left = bytes < total ? `${size(total - bytes)} left` : "checking";
  const far = `Preset ${name(download.preset)}: file ${number} of ${count}; ${size(bytes)} of ${size(total)} have arrived, ${left}`;
  return [far, download.state === "stopping" ? "stopping" : download.note].filter(Boolean).join("; ");
}

const ready = (which) => `What preset ${name(which)} needs is ready.`;

const licence = (file) => element("li", {}, `${file.name}, ${size(file.bytes)}: ${file.licence}`);

function renderHand(need) {
  byId("weights-hand").hidden = !need?.command;
  if (!need?.command) return;
  const count = need.by_hand.length === 1 ? "1 file" : `${need.by_hand.length} files`;
  const text = `No hash of ${count} (${size(sum(need.by_hand, "bytes"))}) is published to check it by, so this is for you to trust. In a terminal: `;
  byId("weights-hand").replaceChildren(text, element("code", {}, need.command));
}

/** Show something or hide it; the focus goes on to `next` if it was in what is hidden. */
function toggle(part, shown, next) {
  const focused = !shown && part.contains(document.activeElement);
  part.hidden = !shown;
  if (focused) next.focus();
}

function render() {
  const need = presets.get(preset());
  const busy = Boolean(download) && OPEN.includes(download.state);
  const lacks = Boolean(need?.files.length);
  const own = download?.preset === preset();
  const done = own && download.state === "done" && need && !lacks;
  const [load, stop, text, bar] = ["weights-get", "weights-stop", "weights-text", "weights-progress"].map(byId);
  byId("weights").hidden = !(busy || lacks || done || need?.command);
  text.textContent = busy ? running() : lacks ? missing(need) : done ? ready(preset()) : "";
  bar.hidden = !busy;
  if (busy) [bar.max, bar.value] = [Math.max(download.total, 1), download.bytes];
  load.textContent = lacks ? `Download ${amount(need)}` : "";
  if (busy) stop.hidden = false; // before the button that has the focus is hidden
  else if (lacks && !offline) load.hidden = false;
  toggle(load, lacks && !busy && !offline, busy ? stop : byId("preset"));
  toggle(stop, busy, lacks ? load : byId("preset"));
  const files = need && !busy ? [...need.files, ...need.by_hand] : [];
  byId("weights-files").hidden = !files.length;
  byId("weights-files").lastElementChild.replaceChildren(...files.map(licence));
  renderHand(busy ? null : need);
  alert.textContent = refused || (own && download.error) || "";
}

/** Take over what the server tells of the download. */
export function learn(told) {
  const isNews = presets.size && JSON.stringify(told) !== JSON.stringify(download); // not what was known before
  const isAnother = download?.state !== told.state;
  download = told;
  heard += 1;
  if (isAnother) forgetRefusal();
  if (OPEN.includes(told.state)) return render();
  if (isNews && told.state === "done") announce(ready(told.preset));
  if (isNews && told.state === "stopped") announce("The download is stopped. What has arrived is kept."); // errors are alerts
  return refresh();
}

/** What Draw was refused for may be over. */
function forgetRefusal() {
  if (byId("draw-error").textContent.includes(LACKS)) byId("draw-error").textContent = "";
}

/** Ask the server to begin or to stop, and show its refusal. */
async function ask(path, data) {
  await attempt(alert, () => post(path, data));
  refused = alert.textContent;
  await refresh();
}

/** Lead to the button if an error says that it helps; tells whether it does. */
export function lead(error) {
  if (byId("weights-get").hidden || !error.includes("press Download")) return false;
  reveal(byId("weights"));
  byId("weights-get").focus({ preventScroll: true });
  return true;
}

export function setUp() {
  byId("weights-get").addEventListener("click", () => ask("/api/weights", { preset: preset(), ...choices() }));
  byId("weights-stop").addEventListener("click", () => ask("/api/weights/stop"));
  follow();
}

/** Ask anew if the form has other choices of models. */
export function follow() {
  const chosen = JSON.stringify([preset(), choices()]);
  if (chosen === shown) return;
  shown = chosen;
  refused = "";
  refresh();
}
