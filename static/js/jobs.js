// The list of jobs: what is chosen, keys, and news of jobs that the page does not show yet. Rows refresh themselves (htmx).

import { showDialog } from "./app.js";

const REFRESH_MS = 300;
const chosen = new Set();
const seen = new Map(); // job id → status, as last heard: news of a job that the filter leaves out is no reason to load the list
const list = () => document.getElementById("jobs");
const boxes = () => [...document.querySelectorAll('#job-bulk input[name="job"]')];
const links = () => [...document.querySelectorAll(".job-link")];

// What was done is told once: loading that page again shows the list, and does nothing a second time.
const told = document.querySelector("[data-reload-to]");
if (told) history.replaceState(null, "", told.dataset.reloadTo);

// ---- Choosing

function showChosen() {
  const all = document.getElementById("choose-all");
  if (!all) return;
  all.closest("[data-needs-script]").hidden = false;
  const count = boxes().filter((box) => box.checked).length;
  all.checked = count > 0 && count === boxes().length;
  all.indeterminate = count > 0 && !all.checked;
  document.getElementById("chosen-count").textContent = count ? `${count} chosen` : "Choose all on this page";
  for (const button of document.querySelectorAll(".bulk-acts button")) button.disabled = count === 0;
  for (const box of boxes()) box.closest("tr").toggleAttribute("data-chosen", box.checked);
}

/** Tick again, in rows that were drawn anew, what was chosen. */
function restore() {
  for (const box of boxes()) if (chosen.has(box.value)) box.checked = true;
  showChosen();
}

function note(box) {
  if (box.checked) chosen.add(box.value);
  else chosen.delete(box.value);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "choose-all") {
    for (const box of boxes()) {
      box.checked = event.target.checked;
      note(box);
    }
    showChosen();
  } else if (event.target.matches('#job-bulk input[name="job"]')) {
    note(event.target);
    showChosen();
  }
});

document.body.addEventListener("htmx:afterSettle", () => {
  for (const row of document.querySelectorAll("[data-job]")) seen.set(row.dataset.job, row.dataset.status);
  const here = new Set(boxes().map((box) => box.value));
  for (const id of chosen) if (!here.has(id)) chosen.delete(id); // nobody acts on what is not to be seen
  restore();
});

// ---- The address says the filter, and nothing that says nothing

document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "job-filters") return;
  const given = event.detail.parameters;
  for (const name of Object.keys(given)) if (given[name] === "") delete given[name];
});

// ---- News

let timer = 0;
let whole = false;

function refreshSoon(all) {
  whole ||= all;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    const part = whole ? list() : document.getElementById("job-tabs");
    const url = whole ? part?.dataset.here : part?.dataset.refresh;
    whole = false;
    if (part && url) window.htmx.ajax("GET", url, { target: part, swap: "outerHTML" });
  }, REFRESH_MS);
}

document.body.addEventListener("jobs", (event) => {
  if (!list()) return;
  const job = event.detail;
  if (!job) {
    refreshSoon(true);
    return;
  }
  const moved = seen.get(job.job_id) !== job.status;
  seen.set(job.job_id, job.status);
  if (moved) refreshSoon(!document.getElementById(`job-${job.job_id}`));
});

// ---- Keys

function step(by) {
  const all = links();
  if (!all.length) return;
  const now = all.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  next.focus();
  next.closest("tr").scrollIntoView({ block: "nearest" });
}

function help() {
  showDialog(document.getElementById("shortcuts").content.cloneNode(true).firstElementChild);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  x: (row) => row?.querySelector('input[name="job"]').click(),
  o: (row) => row?.querySelector(".job-link").click(),
  "/": () => document.getElementById("f-q").focus(),
  n: () => location.assign("/ui/jobs/new"),
  "?": help,
};

document.addEventListener("keydown", (event) => {
  const key = KEYS[event.key];
  if (!key || !list() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]") || event.target.closest("textarea, select, [contenteditable]")) return;
  if (event.target.matches("input:not([type=checkbox])")) return;
  event.preventDefault();
  key(document.activeElement.closest(".job-row"));
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-shortcuts]")) help();
});

function begin() {
  for (const button of document.querySelectorAll("[data-shortcuts]")) button.hidden = false;
  for (const row of document.querySelectorAll("[data-job]")) seen.set(row.dataset.job, row.dataset.status);
  for (const box of boxes()) note(box); // a browser that goes back keeps what was ticked
  restore();
}
document.body.addEventListener("htmx:historyRestore", begin);
begin();
