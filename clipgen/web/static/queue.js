// The list of jobs: what is drawn, what waits, and what has ended.

import { attempt, forget, post } from "./api.js";
import { announce, button, byId, element, shortened } from "./dom.js";
import * as jobs from "./jobs.js";
import * as stage from "./stage.js";

const list = byId("queue-list");
const over = (job) => !jobs.UNFINISHED.includes(job.state);
const path = (job) => `/api/jobs/${encodeURIComponent(job.id)}`;
const tried = (action) => attempt(byId("queue-error"), action);

const SAYS = {
  running: "Drawing",
  queued: "Waiting in the queue",
  paused: "Paused",
  stopped: "Stopped",
  done: "Finished",
  failed: "Failed",
};

function progress(job) {
  if (job.state === "running" && job.stage) return job.stage;
  if (job.state === "running" || job.state === "paused") return `${job.state} · ${job.step} of ${job.total}`;
  if (job.state === "queued" && job.position) return `queued · number ${job.position}`;
  return job.state;
}

function drop(job) {
  return tried(() => (over(job) ? forget(path(job)).then(() => jobs.lose(job.id)) : post(`${path(job)}/stop`)));
}

function row(job) {
  const name = shortened(job.prompt || "a picture", 120);
  const state = element("span", { className: "state" }, progress(job));
  const choose = button("", () => stage.choose(job.id), { className: "job" });
  choose.append(element("span", { className: "dot", "aria-hidden": "true" }), element("span", { className: "name", dir: "auto" }, name), state);
  if (job.id === stage.shown()) choose.setAttribute("aria-current", "true");
  const what = over(job) ? "Forget" : job.state === "queued" ? "Leave the queue" : "Stop";
  const remove = button("×", () => drop(job), { className: "bare", "aria-label": `${what}: ${name}`, title: what });
  const made = element("li", { className: job.state }, choose, remove);
  made.dataset.id = job.id;
  return made;
}

/** Its place among those that are not over: what is held comes after what waits. */
const place = (job) => (job.state === "running" ? 0 : job.position || Infinity);

const sorted = () => {
  const waiting = jobs.all().filter((job) => !over(job));
  waiting.sort((one, other) => place(one) - place(other) || one.created.localeCompare(other.created));
  return [...waiting, ...jobs.all().filter(over)];
};

let due = false;

/** Render once for all that changes at the same time. */
function soon() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    render();
  });
}

function render() {
  const rows = sorted();
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null;
  const second = document.activeElement?.matches("li > .bare");
  byId("queue").hidden = !rows.length;
  byId("queue-clear").hidden = !rows.some(over);
  list.replaceChildren(...rows.map(row));
  if (focused === null) return;
  const same = [...list.children].find((each) => each.dataset.id === focused) ?? list.firstElementChild;
  (same?.children[second ? 1 : 0] ?? byId("stage")).focus();
}

function onEvent(kind, job, before) {
  if (kind === "step") {
    const state = [...list.children].find((each) => each.dataset.id === job.id)?.querySelector(".state");
    if (state) state.textContent = progress(job);
    return;
  }
  soon();
  if (kind === "job" && before && before.state !== job.state) announce(`${SAYS[job.state]}: ${shortened(job.prompt)}`);
}

export function setUp() {
  jobs.listen(onEvent);
  document.addEventListener("stage", soon);
  byId("queue-clear").addEventListener("click", () => tried(() => Promise.all(jobs.all().filter(over).map(async (job) => {
    await forget(path(job));
    jobs.lose(job.id);
  }))));
}
