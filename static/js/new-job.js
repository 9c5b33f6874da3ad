// The page of a new job: files are looked at before they leave the computer, and what was chosen is kept.
//
// What was chosen is in the form, and in the page's address, so that a reload loses nothing but the files; name and notes are kept
// in the session's storage. How it is all sent: new-job-sending.js.

import { copyOf, count, element, findingBox, keep, kept, size } from "./new-job-parts.js";
import { forget, showProblem } from "./new-job-problems.js";
import { DRAFT, isSending, send } from "./new-job-sending.js";
import { countJobs, refresh, writeAddress } from "./new-job-services.js";
import { localise } from "./times.js";
import { inspect } from "./vcf-header.js";
import { compare, judgeBuild } from "./vcf-set.js";

const form = document.getElementById("new-job");
const tables = JSON.parse(document.getElementById("facts").textContent);
const input = document.getElementById("f-input_file");
const drop = document.getElementById("drop");
const list = document.getElementById("picked");
const build = document.getElementById("f-build");

/** What was picked here: {file, facts, item}; facts are null while the file is being looked at. */
let picked = [];
let buildIsOurs = !build.value;

form.classList.add("has-script");

// ---- Files

async function take(files) {
  const fresh = [...files].filter((file) => !picked.some((one) => one.file.name === file.name && one.file.size === file.size));
  for (const file of fresh) {
    const one = { file, facts: null, item: null };
    one.item = drawFile(one);
    picked.push(one);
    list.append(one.item);
    const facts = await inspect(file, tables).catch(() => null);
    if (!picked.includes(one)) continue;
    one.facts = facts ?? { ...unreadable(file) };
    if (facts && file.size > tables.max_file_bytes) {
      facts.findings.unshift({ level: "bad", code: "file_too_large", message: `It is larger than ${size(tables.max_file_bytes)}.`, action: "Choose a file for each chromosome, with GT as its only FORMAT field." });
    }
    await addDigest(one.facts);
    const drawn = drawFile(one);
    one.item.replaceWith(drawn);
    one.item = drawn;
    const worst = one.facts.findings.find((finding) => finding.level === "bad");
    document.getElementById("looked").textContent = `${file.name}: ${worst?.message ?? "nothing wrong at first sight."}`;
    judgeSet();
  }
  judgeSet();
}

function unreadable(file) {
  return {
    name: file.name, size: file.size, kind: "unknown", chromosome: null, chromosomes: [], samples: null, firstSamples: [], ids: null, build: null, votes: [], note: null,
    findings: [{ level: "bad", code: "unreadable", message: "The browser cannot read it.", action: "Was it moved, or is it open elsewhere? Choose it again." }],
  };
}

/** The platform tells of its stored files the digest of their sample ids; of ours it can be made where the page is secure. */
async function addDigest(facts) {
  facts.digest = null;
  if (!facts.ids || !globalThis.crypto?.subtle) return;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(facts.ids));
  facts.digest = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function drawFile(one) {
  const { file, facts } = one;
  const item = copyOf("t-file", { name: file.name, size: size(file.size) });
  item.querySelector("[data-remove-text]").append(element("span", ` ${file.name}`, { class: "visually-hidden" }));
  item.querySelector("[data-remove]").addEventListener("click", () => {
    picked = picked.filter((other) => other !== one);
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    (next?.querySelector("[data-remove]") ?? input).focus();
    judgeSet();
  });
  const line = item.querySelector("[data-facts]");
  const say = (text, tone = "neutral") => line.append(element("span", text, { class: "badge", "data-tone": tone }));
  if (!facts) {
    say("Looking into it…", "info");
    return item;
  }
  if (facts.kind === "bgzip") say("bgzip", "good");
  else if (facts.kind !== "unknown") say({ gzip: "gzip", plain: "not compressed", empty: "empty", other: "not a VCF" }[facts.kind], "bad");
  if (facts.version) say(`VCF ${facts.version}`);
  if (facts.chromosome !== null) say(facts.chromosomes.length > 1 ? facts.chromosomes.slice(0, 4).join(", ") : `chromosome ${facts.chromosome}`);
  if (facts.samples !== null) say(`${count(facts.samples)} sample${facts.samples === 1 ? "" : "s"}`);
  if (facts.version && facts.chromosome !== null) say(facts.build ?? "build not stated", facts.build ? "neutral" : "warn");
  if (facts.note) line.append(element("span", facts.note, { class: "muted" }));
  for (const finding of facts.findings) item.querySelector("[data-findings]").append(findingBox(finding));
  const details = item.querySelector("[data-details]");
  const tell = (name, text) => {
    const row = element("div");
    row.append(element("dt", name), element("dd", text));
    details.append(row);
  };
  if (facts.votes.length) tell("Build", facts.votes.map((vote) => `${vote.build}: ${vote.because}`).join("; "));
  if (facts.firstSamples.length) tell("Samples", facts.firstSamples.join(", ") + (facts.samples > facts.firstSamples.length ? ", …" : ""));
  if (facts.chromosome !== null) tell("Chromosome names", facts.hasPrefix ? "with chr" : "without chr");
  item.querySelector("[data-more]").hidden = !details.children.length;
  return item;
}

function storedFacts() {
  return [...form.querySelectorAll("[name=input_file_id]:checked")].map(({ dataset }) => ({
    name: dataset.name, size: Number(dataset.size), chromosome: dataset.chromosome ? dataset.prefix + dataset.chromosome : null, hasPrefix: dataset.prefix === "chr",
    samples: dataset.samples ? Number(dataset.samples) : null, ids: null, digest: dataset.digest || null, build: dataset.build || null, votes: [], findings: [], stored: true,
  }));
}

const allFacts = () => [...storedFacts(), ...picked.map((one) => one.facts).filter(Boolean)];

function judgeSet() {
  const all = allFacts();
  // Ids are compared as they are among picked files, and by their digest with stored ones.
  const comparable = all.some((facts) => facts.stored) ? all.map((facts) => ({ ...facts, ids: facts.digest })) : all;
  const { findings, build: guess } = compare(comparable);
  if (guess && buildIsOurs && build.value !== guess) {
    build.value = guess;
    tellBuild();
  }
  const total = picked.reduce((sum, one) => sum + one.file.size, 0);
  const number = picked.length + storedFacts().length;
  if (number > tables.max_files) findings.push({ level: "bad", code: "too_many_files", message: `These are ${number} files; a job has at most ${tables.max_files}.`, action: "Send the other chromosomes with another job." });
  if (total > tables.max_upload_bytes) findings.push({ level: "bad", code: "too_large", message: `Together they are larger than ${size(tables.max_upload_bytes)}.`, action: "Send some chromosomes with another job." });
  findings.push(...judgeBuild(all, build.value));
  document.getElementById("set-findings").replaceChildren(...findings.map(findingBox));
  drawSending(all, number, total);
  forget("input_file");
  nameAfter(all[0]?.name);
  return [...findings, ...all.flatMap((facts) => facts.findings)].filter((finding) => finding.level === "bad");
}

function drawSending(all, number, total) {
  const place = document.getElementById("sending-files");
  if (!number) {
    place.replaceChildren(element("p", "The files that you choose.", { class: "muted" }));
    return;
  }
  const rows = element("ul");
  for (const facts of all.slice(0, 8)) {
    const row = element("li");
    row.append(element("span", facts.name, { class: "break" }), element("span", facts.stored ? "stored here" : size(facts.size), { class: "muted num nowrap" }));
    rows.append(row);
  }
  if (all.length > 8) rows.append(element("li", `and ${all.length - 8} more`, { class: "muted" }));
  place.replaceChildren(rows);
  if (picked.length > 1) place.append(element("p", `${size(total)} to upload`, { class: "muted" }));
}

function nameAfter(name) {
  document.getElementById("f-name").placeholder = name ? name.replace(/(\.vcf)?(\.b?gz)?$/, "") : "";
}

function takeChosen() {
  if (!input.files.length) return;
  take(input.files);
  input.value = ""; // the list holds them now, and the same file can be chosen again
}

input.addEventListener("change", takeChosen);
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("is-over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (!isSending()) take(event.dataTransfer.files);
});
// A file that misses the field must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

// ---- Choices

function tellBuild() {
  judgeBuildHint();
  refresh(".choice.is-chosen");
}

function judgeBuildHint() {
  const hint = document.getElementById("h-build");
  const told = compare(allFacts()).build;
  hint.textContent = told && told === build.value ? "Filled in from your files. Change it if you know better." : "The one your positions are in, not the panel's. It is filled in where your files tell it.";
}

build.addEventListener("change", () => {
  buildIsOurs = !build.value;
  forget("build");
  tellBuild();
  judgeSet();
});

form.addEventListener("change", (event) => {
  const { name } = event.target;
  if (name === "input_file_id") judgeSet();
  if (name) forget(name.replace(/^option-(\d+)-.*/, "option-$1"));
  writeAddress();
});

for (const name of ["name", "description"]) {
  const field = document.getElementById(`f-${name}`);
  const draft = JSON.parse(kept(sessionStorage, DRAFT) ?? "{}");
  if (!field.value && draft[name]) field.value = draft[name];
  field.addEventListener("input", () => {
    const both = Object.fromEntries(["name", "description"].map((one) => [one, document.getElementById(`f-${one}`).value]));
    keep(sessionStorage, DRAFT, JSON.stringify(both));
  });
}

// ---- Sending

form.addEventListener("submit", (event) => {
  if (event.submitter?.formMethod === "get") return;
  event.preventDefault();
  if (!isSending()) submit();
});

function submit() {
  const blocking = judgeSet();
  if (picked.some((one) => !one.facts)) return;
  if (!picked.length && !storedFacts().length) {
    showProblem({ message: "Choose at least one file", errors: [{ field: "input_file", message: "Choose at least one file" }] });
    return;
  }
  if (blocking.length) {
    showProblem({ message: blocking.length === 1 ? "One thing about the files would be refused" : `${blocking.length} things about the files would be refused`, action: "They are told below, with what to do. Nothing was sent." });
    return;
  }
  send(() => picked.map((one) => one.file));
}

judgeSet();
countJobs();
localise(form);
takeChosen(); // whoever was quicker than this script, or comes back to a page that its browser kept
