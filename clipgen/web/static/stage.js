// The large picture: what is being drawn, live, and what can be done about it.

import { attempt, get, post } from "./api.js";
import { Curve } from "./curve.js";
import { announce, button, byId, element } from "./dom.js";
import { download, pictureOf } from "./files.js";
import * as jobs from "./jobs.js";

const live = byId("live");
const curve = new Curve(byId("curve"));
let current = null; // id of the job that is shown
let following = true; // whether the stage goes on to the next job that is drawn
let wanted = 0; // newest version of the frame
let loading = false;
let told = ""; // the prompt of the job as it is shown for changing
let openItem = () => {};

const path = (job, what) => `/api/jobs/${encodeURIComponent(job.id)}/${what}`;
const act = (job, what, data) => attempt(byId("job-error"), () => post(path(job, what), data));

const ended = (job) => job.state === "done" || job.state === "stopped" || job.state === "failed";
const finished = (job) => (job.state === "running" ? undefined : pictureOf(job)); // it may be of before it went on

function words(job) {
  const texts = {
    queued: job.position > 1 ? `Waiting, number ${job.position} in the queue` : "Waiting, next in the queue",
    running: job.stage ? `${job.stage[0].toUpperCase()}${job.stage.slice(1)}…` : `Step ${job.step} of ${job.total}`,
    paused: `Paused at step ${job.step} of ${job.total}`,
    stopped: `Stopped at step ${job.step} of ${job.total}`,
    done: `Done, ${job.total} ${job.total === 1 ? "step" : "steps"}`,
    failed: "Failed",
  };
  return texts[job.state];
}

/** Load the newest frame, one at a time: a slow connection skips those that it has no time for. */
async function loadFrame() {
  const job = jobs.job(current);
  if (loading || !job || !wanted || finished(job) || document.hidden) return;
  loading = true;
  const [id, version] = [current, wanted];
  const bytes = await fetch(path(job, `frame.jpg?v=${version}`)).then((answer) => (answer.ok ? answer.blob() : null), () => null);
  loading = false;
  if (bytes && id === current && !finished(jobs.job(id) ?? job)) show(URL.createObjectURL(bytes), job, version);
  if (id !== current || wanted !== version) loadFrame();
}

function show(source, job, version) {
  const address = new URL(source, location.href).href;
  if (live.src !== address) {
    if (live.src.startsWith("blob:")) URL.revokeObjectURL(live.src);
    live.src = address;
  }
  live.alt = version ? `“${job.prompt}”, being drawn` : `“${job.prompt}”`;
  live.dataset.version = version;
  live.hidden = false;
  byId("loading").hidden = true;
  byId("step-text").textContent = words(jobs.job(job.id) ?? job);
}

function pause(job) {
  following = false; // the next job begins, and this one is still looked at
  return act(job, "pause");
}

function actions(job) {
  const resumable = (job.state === "stopped" || job.state === "failed") && job.resumable;
  const rows = [
    [job.state === "running", "Pause", () => pause(job)],
    [job.state === "paused" || resumable, "Resume", () => act(job, "resume")],
    [job.state === "running" || job.state === "paused", "Stop", () => act(job, "stop")],
    [job.state === "queued", "Leave the queue", () => act(job, "stop")],
    [job.state === "done", "+100 steps", () => act(job, "extend", { steps: 100 }).then((made) => made?.id && follow(made))],
    [job.picture, "Open", () => openItem(job.picture)],
  ];
  const buttons = rows.filter(([offered]) => offered).map(([, text, action]) => button(text, action));
  const links = ended(job) ? job.files.map(download) : [];
  return [...buttons, ...links];
}

function renderStep(job) {
  byId("step-text").textContent = live.hidden && !ended(job) ? "" : words(job); // else it is in place of the picture
  byId("score-text").textContent = job.score === null ? "" : `score ${job.score.toFixed(3)}`;
  byId("progress").max = Math.max(job.total, 1);
  byId("progress").value = job.step;
  const busy = job.state === "running" && job.total;
  document.title = busy ? `${Math.round((100 * job.step) / job.total)} % · ${job.prompt}` : "clipgen";
  if (job.frame !== wanted) {
    wanted = job.frame;
    loadFrame();
  }
}

function renderActions(job) {
  const row = byId("job-actions");
  const focused = row.contains(document.activeElement) ? document.activeElement.textContent : null;
  row.replaceChildren(...actions(job));
  if (focused === null) return; // else keep the focus in the row, on the same button if it is still there
  const same = [...row.children].find((each) => each.textContent === focused) ?? row.firstElementChild ?? byId("stage");
  same.focus();
}

function render(job) {
  byId("welcome").hidden = true;
  byId("desk").hidden = false;
  byId("job-prompt").textContent = job.prompt;
  byId("job-error").textContent = job.error ?? "";
  renderActions(job);
  const steerable = job.state === "running" || job.state === "paused";
  byId("steer").hidden = !steerable;
  byId("job-prompt").hidden = steerable;
  if (!unsent()) byId("steer-prompt").value = told = job.prompt;
  byId("steer-go").disabled = !unsent();
  byId("job-notes").hidden = !job.notes.length;
  byId("job-notes").firstElementChild.textContent = job.notes.length === 1 ? "1 note" : `${job.notes.length} notes`;
  byId("job-notes").lastElementChild.replaceChildren(...job.notes.map((note) => element("li", {}, note)));
  const file = finished(job);
  if (file) show(`${file.url}?v=${job.step}`, job, ""); // the same file has other pixels after more steps
  const waits = !file && !job.frame;
  if (waits) live.hidden = true;
  byId("loading").hidden = !waits;
  byId("loading").textContent = ended(job) ? "No picture was made." : words(job);
  byId("loading").classList.toggle("busy", job.state === "running");
  renderStep(job);
}

/** Whether a person has typed another prompt for this run and not yet sent it. */
const unsent = () => byId("steer-prompt").value.trim() !== told.trim();

/** Show this job. */
export async function select(id) {
  const job = jobs.job(id);
  if (!job) return;
  current = id;
  wanted = 0;
  live.hidden = true;
  byId("steer-prompt").value = told = job.prompt;
  curve.set([], job.total);
  render(job);
  document.dispatchEvent(new CustomEvent("stage", { detail: id }));
  const known = await get(`/api/jobs/${encodeURIComponent(id)}`).catch(() => null);
  if (known && id === current) curve.set(known.scores, known.total);
}

/** Show this job, and from then on whatever is drawn. */
export function follow(job) {
  following = true;
  jobs.meet(job);
  select((jobs.active() ?? job).id);
}

/** Show this job because a person chose it. */
export function choose(id) {
  following = jobs.active()?.id === id;
  select(id);
}

export const shown = () => current;

async function steer(job, prompt) {
  if (!prompt || !(await act(job, "prompt", { prompt }))) return;
  if (job.id === current) told = prompt;
  byId("steer-go").disabled = true;
  announce("The run goes on with the new prompt.");
}

function onEvent(kind, job) {
  if (kind === "removed") {
    if (job.id === current) clear();
    return;
  }
  const next = jobs.active();
  if (following && next && next.id !== current) select(next.id);
  else if (!current) select(job.id);
  if (job.id !== current) return;
  if (kind === "job") render(job);
  else renderStep(job);
  if (job.score !== null && job.state === "running") curve.add(job.step, job.score, job.total);
}

function clear() {
  current = null;
  wanted = 0;
  following = true;
  live.hidden = true;
  byId("desk").hidden = byId("loading").hidden = true;
  byId("welcome").hidden = false;
  document.title = "clipgen";
}

/** Wire the stage and attach it to what is going on; `opens(id)` opens a picture of the gallery. */
export function setUp(opens) {
  openItem = opens;
  jobs.listen(onEvent);
  document.addEventListener("visibilitychange", loadFrame);
  byId("steer-prompt").addEventListener("input", () => (byId("steer-go").disabled = !unsent()));
  byId("steer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (jobs.job(current) && unsent()) steer(jobs.job(current), byId("steer-prompt").value.trim());
  });
  const first = jobs.active() ?? jobs.all()[0];
  if (first) select(first.id);
}
