// The jobs that the server knows, kept up to date by its events.

import { get } from "./api.js";
import { follow } from "./events.js";

const jobs = new Map();
const listeners = new Set();

export const UNFINISHED = ["running", "paused", "queued"];

export const job = (id) => jobs.get(id);

/** All jobs, the newest first. */
export const all = () => [...jobs.values()].sort((one, other) => (one.created < other.created ? 1 : -1));

/** The job that is being drawn, or is held in the middle of it. */
export const active = () => all().find((each) => each.state === "running") ?? all().find((each) => each.state === "paused");

/** Call `listener(kind, job, before)` on each event: "job", "step" or "removed". */
export const listen = (listener) => listeners.add(listener);

const tell = (kind, changed, before) => listeners.forEach((listener) => listener(kind, changed, before));

/** Take over what the server says about a job. */
export function learn(told) {
  const before = jobs.get(told.id);
  jobs.set(told.id, told);
  tell("job", told, before);
}

/** Take over a job of an answer, unless events have told more of it already. */
export function meet(told) {
  if (!jobs.has(told.id)) learn(told);
}

export function lose(id) {
  const lost = jobs.get(id);
  if (lost && jobs.delete(id)) tell("removed", lost);
}

function learnStep({ id, ...step }) {
  const known = jobs.get(id);
  if (known) tell("step", Object.assign(known, step));
}

/** Learn of all jobs that there are, before anyone listens. */
export async function load() {
  for (const each of await get("/api/jobs")) jobs.set(each.id, each);
}

/** Forget the jobs that are gone from the server, where somebody removed them while nobody listened. */
async function compare() {
  const before = [...jobs.keys()];
  const known = await get("/api/jobs").catch(() => null);
  const ids = new Set(known?.map((each) => each.id));
  if (known) before.filter((id) => !ids.has(id)).forEach(lose);
}

/** Keep up with the server; `connected(bool)` hears whether it can be reached, and `others` have its other events. */
export function keepUp(connected, others) {
  const takes = {
    ...others,
    job: learn,
    step: learnStep,
    removed: ({ id }) => lose(id),
    lost: () => connected(false),
    open: () => {
      connected(true);
      compare();
    },
  };
  follow((kind, data) => takes[kind](data));
}
