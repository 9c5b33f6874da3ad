// The services on the page of a new job. The server draws them; here is when it is asked to, and the page's address that follows.

const form = document.getElementById("new-job");

/** Let the server draw services anew; after what is on its way, since an answer replaces the part that asked. */
export function refresh(parts) {
  if (form.querySelector(".htmx-request")) {
    setTimeout(refresh, 100, parts);
    return;
  }
  for (const part of form.querySelectorAll(parts)) window.htmx.trigger(part, "refresh");
}

const asked = new WeakMap();
const stateOf = (card) => [...card.querySelectorAll("input, select, textarea")].map((one) => `${one.name}=${one.value}:${one.checked}`).join("\n");

document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target.matches(".choice")) asked.set(detail.xhr, stateOf(detail.target));
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { target, xhr } = event.detail;
  if (!target.matches(".choice")) return;
  const isPressed = pressed && target.contains(pressed);
  if (!isPressed && asked.get(xhr) === stateOf(target)) return;
  event.detail.shouldSwap = false; // it was changed since, or is being pressed: this answer would undo that
  if (isPressed) late.add(`#${target.id}`);
  else refresh(`#${target.id}`);
});

// A press that began on what is then replaced would be lost: the answer waits until the key or the button is let go.
let pressed = null;
const late = new Set();

form.addEventListener("pointerdown", ({ target }) => { pressed = target; }, true);
form.addEventListener("keydown", ({ key, target }) => { if (key === " " || key === "Enter") pressed = target; }, true);
function letGo() {
  pressed = null;
  if (!late.size) return;
  const parts = [...late].join(", ");
  late.clear();
  setTimeout(refresh, 0, parts); // after the click that the press makes
}
for (const kind of ["pointerup", "pointercancel", "keyup"]) document.addEventListener(kind, letGo, true);
addEventListener("blur", letGo);

/** Each chosen panel is a job. */
export function countJobs() {
  const jobs = form.querySelectorAll(".choice.is-chosen [name^=panel-]:checked").length;
  document.getElementById("submit-text").textContent = jobs > 1 ? `Submit ${jobs} jobs` : "Submit";
}

/** The page's address holds the choices: it can be reloaded, and come back to. */
export function writeAddress() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value && !["name", "description", "idempotency_key"].includes(name)) query.append(name, value);
  }
  const text = query.toString();
  if (text.length < 4000) history.replaceState(history.state, "", text ? `?${text}` : location.pathname);
}

document.body.addEventListener("htmx:afterSettle", () => {
  writeAddress();
  countJobs();
  agree();
});

/**
 * Answers to two quick choices may come in any order, and what is ticked before htmx knows a part that was just drawn is heard by
 * nobody; the last word on what will be sent is the form's.
 */
function agree() {
  if (form.querySelector(".htmx-request")) return;
  const chosen = [...form.querySelectorAll("[name=service]:checked")].map((box) => box.value);
  const told = [...form.querySelectorAll("[data-receiver]")].map((box) => box.dataset.receiver);
  const unheard = [...form.querySelectorAll(".choice [name=service], .choice [name^=panel-]")].find((box) => box.checked !== box.defaultChecked);
  const differs = chosen.length !== told.length || chosen.some((id) => !told.includes(id));
  if (unheard) refresh(`#${unheard.closest(".choice").id}`);
  else if (differs && chosen.length) refresh(`#service-${chosen[0]}`);
}
// The dialog tells whether the service took it, and is closed by whoever has read that.
document.body.addEventListener("credential-saved", () => refresh(".choice"));
