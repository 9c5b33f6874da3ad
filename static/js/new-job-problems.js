// What is wrong on the page of a new job: told as a whole above the form, and at its fields.

import { copyOf, sentence } from "./new-job-parts.js";
import { refresh } from "./new-job-services.js";

const form = document.getElementById("new-job");
const { ways } = JSON.parse(document.getElementById("facts").textContent);
const problemBox = document.getElementById("problem");

/** What is told at fields now: the server may draw a service anew, and what was wrong there still is. */
const told = new Map();

export function forget(field) {
  told.delete(field);
  for (const old of document.querySelectorAll(`[data-error-of="${CSS.escape(field)}"], [id="e-${CSS.escape(field)}"]`)) old.remove();
  const place = placeOf(field);
  place?.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
}

function placeOf(field) {
  return document.querySelector(`[data-field="${CSS.escape(field)}"]`) ?? document.getElementById(field);
}

/** Show an error at its field; false when the page has no such field now. */
function showError(field, message) {
  const place = placeOf(field);
  if (!place) return false;
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  const line = copyOf("t-error", { message: /[.!?]$/.test(text) ? text : `${text}.` });
  line.dataset.errorOf = field;
  line.id = `e-${field}`;
  (place.querySelector(":scope > .field") ?? place).append(line);
  const control = place.querySelector("select, textarea, input:not([type=radio], [type=hidden])");
  control?.setAttribute("aria-invalid", "true");
  (control ?? place).setAttribute("aria-describedby", line.id);
  return true;
}

document.body.addEventListener("htmx:afterSettle", () => {
  for (const [field, message] of told) {
    if (!document.getElementById(`e-${field}`)) showError(field, message);
  }
});

/** Show a refusal: as a whole above the form, and at its fields. */
export function showProblem(problem, targets = []) {
  clearProblems();
  const errors = (problem.errors ?? []).map((item) => ({ ...item, field: pageField(item.field, targets) }));
  for (const { field, message } of errors) told.set(field, message);
  const lost = errors.filter(({ field, message }) => !showError(field, message) && message !== problem.message).map(({ message }) => message);
  const action = wayOut(problem);
  const box = copyOf("t-bad", { message: sentence(problem.message ?? "That did not work."), action: [...lost, action].filter(Boolean).join(" ") });
  box.setAttribute("role", "alert");
  problemBox.replaceChildren(box);
  if (problem.service_id) refresh(`#service-${Number(problem.service_id)}`);
  problemBox.focus();
  problemBox.scrollIntoView({ block: "center" });
}

/** What a person does about it: POST /jobs speaks to programs too, and the page has words of its own (app/web/ways_out.py). */
export function wayOut(problem) {
  const own = problem.action ?? "";
  return own && !/\b(GET|POST|PUT|PATCH|DELETE)\b|\bcurl\b|\bJSON\b|multipart\/|_id\b/.test(own) ? own : (ways[problem.code] ?? own);
}

export function clearProblems() {
  told.clear();
  problemBox.replaceChildren();
  for (const old of form.querySelectorAll("[data-error-of], p.error[id^='e-']")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/** POST /jobs names its own fields; here each belongs to a service, and a population to a panel. */
function pageField(name, targets) {
  const match = /^targets\[(\d+)\](?:\.(\w+))?$/.exec(name);
  const [service, panel] = targets[match ? Number(match[1]) : 0] ?? [];
  const own = match ? (match[2] ?? "service_id") : name;
  const word = { service_id: "service", reference_panel_id: "panel", options: "option", population: "population", phasing: "phasing" }[own];
  if (!word || !service) return own;
  return word === "population" ? `${word}-${service}-${panel}` : `${word}-${service}`;
}
