// Sending a new job, with its progress shown.
//
// It takes three steps: the platform judges the choices (POST /ui/jobs/new/check, which also says them in the words of the API), the
// files go to POST /jobs, and the page of what was made is opened. An Idempotency-Key made of everything that is sent lets a retry,
// a second press and a second tab find the job that the first has made.

import { askToSignIn } from "./app.js";
import { keep, kept, percent, sentence } from "./new-job-parts.js";
import { clearProblems, showProblem, wayOut } from "./new-job-problems.js";
import { Pace, digest } from "./new-job-upload.js";

export const DRAFT = "new-job:draft";
const SEED = "new-job:seed";
const TITLE = document.title;
const form = document.getElementById("new-job");

let seed = readSeed();
let sending = null;

export const isSending = () => sending !== null;

document.getElementById("stop").addEventListener("click", () => sending?.stop());
document.getElementById("again").addEventListener("click", () => sending?.upload());

const leaving = (event) => event.preventDefault();

function show(state) {
  document.getElementById("ready").hidden = state !== "ready";
  document.getElementById("sending-now").hidden = state === "ready";
  for (const part of form.querySelectorAll(".stack-large > section")) {
    part.classList.toggle("is-busy", state !== "ready");
    part.inert = state !== "ready";
  }
  if (state === "ready") removeEventListener("beforeunload", leaving);
  else addEventListener("beforeunload", leaving);
}

function phase(text, pace = "", share = null) {
  const bar = document.getElementById("bar");
  const said = document.getElementById("phase");
  if (said.textContent !== text) said.textContent = text;
  document.getElementById("pace").textContent = pace;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share * 1000;
  document.title = share ? `${percent(share)} · ${text}` : TITLE;
}

function end() {
  sending = null;
  document.title = TITLE;
  document.getElementById("again").hidden = true;
  document.getElementById("bar").hidden = false;
  show("ready");
}

/** Send what the form says, with the files that `chosen` gives: a last one may still be added while the choices are judged. */
export async function send(chosen) {
  clearProblems();
  sending = { stop: end };
  show("sending");
  phase("Looking over your choices…");
  document.getElementById("stop").focus();
  const fields = new FormData(form);
  fields.delete("input_file");
  fields.set("upload_bytes", chosen().reduce((sum, file) => sum + file.size, 0));
  const own = sending;
  const answer = await ask(new URLSearchParams([...fields]));
  if (sending !== own) return;
  if (answer === null || answer.status !== 200) {
    end();
    if (answer?.status === 401) askAgain();
    else showProblem(answer?.body ?? { message: "The platform does not answer", action: "Look at your connection, then press Submit again. Nothing was sent." });
    return;
  }
  upload(answer.body, chosen());
}

async function ask(fields) {
  try {
    const response = await fetch("/ui/jobs/new/check", { method: "POST", body: fields, headers: { "HX-Request": "true" } });
    return { status: response.status, body: await response.json().catch(() => null) };
  } catch {
    return null;
  }
}

function askAgain() {
  showProblem({ message: "Your sign-in has ended", action: "Sign in again, then press Submit once more: your files and choices are still here." });
  askToSignIn();
}

function upload(checked, files) {
  const body = new FormData();
  for (const [name, value] of Object.entries(checked.fields)) body.append(name, value);
  for (const id of checked.input_file_ids) body.append("input_file_id", id);
  for (const file of files) body.append("input_file", file, file.name);
  const said = [...body].map(([name, value]) => (typeof value === "string" ? [name, value] : [name, value.name, value.size, value.lastModified]));
  const key = `${seed}.${digest(JSON.stringify(said))}`;
  sending = { upload: () => start(body, key, checked.targets, files), stop: end };
  sending.upload();
}

function start(body, key, targets, files) {
  const request = new XMLHttpRequest();
  const own = sending;
  const pace = new Pace();
  document.getElementById("again").hidden = true;
  document.getElementById("bar").hidden = false;
  own.stop = () => {
    request.abort();
    end();
    document.getElementById("submit").focus();
  };
  request.open("POST", "/jobs");
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Idempotency-Key", key);
  phase("Sending your files…", "", 0);
  request.upload.addEventListener("progress", (event) => {
    if (event.loaded < event.total) phase("Sending your files…", pace.tell(event.loaded, event.total), event.loaded / event.total);
  });
  request.upload.addEventListener("load", () => phase("Checking the files…", "All of it has arrived. Every record is read before the job is made; large files take a while."));
  request.addEventListener("load", () => {
    if (sending === own) answered(request, targets);
  });
  request.addEventListener("error", async () => {
    const changed = await findChanged(files);
    if (sending !== own) return;
    if (changed) {
      end();
      showProblem({ message: `${changed} was changed or moved since it was chosen`, errors: [{ field: "input_file", message: "Remove it and choose it again" }] });
    } else {
      broken("The connection broke", "Nothing is lost: try again. If it had arrived all the same, no second job is made.");
    }
  });
  request.send(body);
}

/** A browser does not say why it could not read a file on; it refuses to begin with one that is not what it was. */
async function findChanged(files) {
  for (const file of files) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return file.name;
    }
  }
  return null;
}

function answered(request, targets) {
  let answer = null;
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    // Told below.
  }
  if (request.status === 201 && answer) {
    phase("Done", "", 1);
    keep(sessionStorage, DRAFT, null);
    keep(localStorage, SEED, null);
    removeEventListener("beforeunload", leaving);
    location.assign("jobs" in answer ? `/ui/batches/${answer.id}` : `/ui/jobs/${answer.id}`);
    return;
  }
  if (request.status === 429 || request.status >= 500) {
    broken(answer?.message ?? "The platform could not take it", (answer && wayOut(answer)) || "Try again in a moment.");
    return;
  }
  end();
  if (request.status === 401) askAgain();
  else if (answer?.code === "idempotency_key_reused") {
    seed = `${form.elements.idempotency_key.value}${Math.random().toString(36).slice(2, 8)}`;
    keep(localStorage, SEED, seed);
    showProblem({ message: "A file with this name has made a job already, and has changed since", action: "Look at your jobs. If you want this one as well, press Submit once more." });
  } else showProblem(answer ?? { message: "That did not work", action: "Try again." }, targets);
}

function broken(message, action) {
  phase(sentence(message), action, 0);
  document.getElementById("bar").hidden = true;
  const again = document.getElementById("again");
  again.hidden = false;
  again.focus();
}

/** All tabs that were open when a job was made say the same key for the same content; pages loaded later begin anew. */
function readSeed() {
  const given = form.elements.idempotency_key.value;
  const shared = kept(localStorage, SEED);
  if (shared && /^[\w-]{20,40}$/.test(shared)) return shared;
  keep(localStorage, SEED, given);
  return given;
}
