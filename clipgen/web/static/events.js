// What the server tells of its jobs and downloads. Browsers keep at most six connections to a server, and a stream of
// events takes one for as long as it is open; so one tab listens and tells the others, and when it is closed another one
// listens.

const NAME = "clipgen-events";
const PAUSE = 3000; // milliseconds before another try, where the browser itself makes none

/** Call `take(kind, data)` on each event: those of the server, and "open" and "lost" of the connection. */
export function follow(take) {
  const others = new BroadcastChannel(NAME);
  others.addEventListener("message", ({ data: [kind, data] }) => take(kind, data));
  const tell = (kind, data) => {
    take(kind, data);
    others.postMessage([kind, data]);
  };
  if (navigator.locks) navigator.locks.request(NAME, () => new Promise(() => listen(tell))); // kept until this tab closes
  else listenWhileSeen(take); // browsers have locks only for addresses of this machine, and for https
}

function listen(tell) {
  const events = new EventSource("/api/events");
  for (const kind of ["job", "step", "removed", "weights"]) {
    events.addEventListener(kind, (event) => tell(kind, JSON.parse(event.data)));
  }
  events.addEventListener("open", () => tell("open"));
  events.addEventListener("error", () => {
    tell("lost");
    if (events.readyState === EventSource.CLOSED) setTimeout(() => listen(tell), PAUSE);
  });
  return events;
}

function listenWhileSeen(take) {
  let events = null;
  const update = () => {
    events?.close();
    events = document.hidden ? null : listen(take);
  };
  document.addEventListener("visibilitychange", update);
  update();
}
