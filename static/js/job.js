// The page of a job: its body is drawn anew by the server whenever something changed. What the reader opened stays open, a screen
// reader is told how it stands, the focus stays where it was, and durations go on counting.

import { localise } from "./times.js";

const part = () => document.getElementById("job");
const touched = new Set();
let opened = new Map();

function duration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  if (rest < 1) return "under 1 s";
  const words = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const number = Math.floor(rest / length);
    rest %= length;
    if (number || words.length) words.push([number, unit]);
  }
  return words.slice(0, 2).filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
}

const today = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const otherDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

function clocks() {
  for (const element of document.querySelectorAll("time[data-clock]")) {
    const at = new Date(element.dateTime);
    element.textContent = (at.toDateString() === new Date().toDateString() ? today : otherDay).format(at);
    element.title = at.toLocaleString();
  }
}

function count() {
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = duration((Date.now() - new Date(element.dataset.since)) / 1000);
  }
}

part().addEventListener("click", (event) => {
  const id = event.target.closest("summary")?.parentElement.id;
  if (id) touched.add(id);
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target !== part()) return;
  opened = new Map([...touched].map((id) => [id, document.getElementById(id)?.open ?? false]));
});
document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== part()) return;
  for (const [id, open] of opened) {
    const item = document.getElementById(id);
    if (item) item.open = open;
  }
  const box = document.getElementById("job-said");
  const said = document.getElementById("job-seen").dataset.said;
  if (box.textContent !== said) box.textContent = said;
  localise(part());
  count();
  clocks();
});

// A look every few seconds must not complain every few seconds. That the platform is away is told by live.js; that the sign-in has
// ended, once: it is asked for again when the reader comes back from signing in.
let ended = false;
part().addEventListener("htmx:sendError", (event) => event.stopPropagation());
part().addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 401) ended = true;
  if (status >= 500) event.stopPropagation();
});
part().addEventListener("htmx:beforeRequest", (event) => {
  if (ended && event.target === part()) event.preventDefault();
});
document.addEventListener("visibilitychange", () => { ended = false; });

// What happened before the stream was there, or while it was lost. The answer is empty when nothing did.
const refresh = () => window.htmx?.trigger(part(), "refresh");
document.body.addEventListener("jobs", (event) => { if (event.detail === null) refresh(); });
new MutationObserver(() => { if (document.body.dataset.live === "on") refresh(); })
  .observe(document.body, { attributes: true, attributeFilter: ["data-live"] });
if (document.body.dataset.live === "on") refresh();

clocks();
setInterval(count, 1000);
