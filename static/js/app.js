// What every page has: live news of jobs, dialogs, copying, local times, and the way back when a sign-in has ended.
// Pages work without it. Nothing here decides anything: the server draws every part that changes.

import { follow } from "./live.js";
import { localise } from "./times.js";

const dialog = document.getElementById("dialog");

/** Say something in passing. */
export function toast(text) {
  const box = document.createElement("div");
  box.className = "toast";
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 6000);
}

// ---- Dialogs: a link with data-dialog shows the main part of its page in place; without JavaScript it is that page.

/** Counts what is shown, or about to be: an answer that comes after something newer is nobody's wish any more. */
let shown = 0;

async function openDialog(link) {
  const mine = ++shown;
  const body = await fetchBody(link.href).catch(() => null);
  if (mine !== shown) return;
  if (body) showDialog(body);
  else location.assign(link.href);
}

async function fetchBody(address) {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const body = page.querySelector("[data-dialog-body]");
  return body && document.adoptNode(body);
}

/** Show an element in the page's dialog. */
export function showDialog(body) {
  shown += 1;
  body.classList.add("dialog-body");
  dialog.replaceChildren(body);
  const title = body.querySelector("h1, h2");
  if (title) {
    title.id ||= "dialog-title";
    dialog.setAttribute("aria-labelledby", title.id);
  }
  window.htmx?.process(body);
  localise(body);
  if (!dialog.open) dialog.showModal();
  document.body.dispatchEvent(new CustomEvent("dialog-opened", { detail: { body } }));
}

export function closeDialog() {
  dialog.close();
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});
// Told a little later: it may be open again by then, with something else.
dialog.addEventListener("close", () => { if (!dialog.open) dialog.replaceChildren(); });

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    openDialog(link);
    return;
  }
  const copy = event.target.closest("[data-copy], [data-copy-from]");
  if (copy) {
    const text = copy.dataset.copy ?? document.querySelector(copy.dataset.copyFrom).textContent;
    copyText(text).then(
      () => toast("Copied."),
      () => toast("This browser does not let us copy; select the text instead."),
    );
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Plain HTTP beyond this machine has no clipboard of its own.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("refused");
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// ---- A form is sent once, however often its button is pressed.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method === "post" && !form.hasAttribute("hx-post") && !event.defaultPrevented) form.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// ---- The focus stays where it was when a part is drawn anew. htmx sees to what has an id; everything else is known by what it does.

let focused = null;

function nameOf(element) {
  if (element.id) return null;
  const name = ["href", "data-copy", "data-copy-from"].find((each) => element.hasAttribute(each));
  if (name) return `${element.localName}[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  if (element.localName === "summary") return element.parentElement.id && `#${CSS.escape(element.parentElement.id)} > summary`;
  const action = element.form?.getAttribute("action");
  return element.localName === "button" && action ? `form[action="${CSS.escape(action)}"] button` : null;
}

document.body.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  const at = document.activeElement;
  if (at !== document.body && target.contains(at)) focused = { part: target.id, name: nameOf(at) };
});
document.body.addEventListener("htmx:afterSettle", ({ detail: { elt } }) => {
  if (!focused || elt.id !== focused.part) return;
  if (focused.name && document.activeElement === document.body) elt.querySelector(focused.name)?.focus({ preventScroll: true });
  focused = null;
});

// ---- What htmx could not do. What a part asks by itself, because something happened or time went by, and the platform is away, is
// no news to anybody: live.js tells that.

const isByItself = ({ requestConfig }) => /^(hx:poll:trigger|jobs|notices|missed|job:.*)$/.test(requestConfig.triggeringEvent?.type);

document.body.addEventListener("htmx:responseError", (event) => {
  const answer = event.detail.xhr;
  if (answer.status === 401) {
    askToSignIn();
    return;
  }
  if (answer.status >= 500 && isByItself(event.detail)) return;
  const page = new DOMParser().parseFromString(answer.responseText, "text/html");
  toast(page.querySelector("[data-message]")?.dataset.message ?? "That did not work. Load the page again.");
});
document.body.addEventListener("htmx:sendError", (event) => {
  if (!isByItself(event.detail)) toast("The platform does not answer. Look at your connection, then try again.");
});
document.body.addEventListener("htmx:afterSettle", (event) => localise(event.detail.elt.parentElement ?? document.body));

document.body.addEventListener("signed-out", () => askToSignIn());
document.body.addEventListener("signed-in", () => dialog.querySelector("[data-asks-to-sign-in]")?.closest("dialog").close());

/** Tell that the sign-in has ended, and keep the page as it is. */
export function askToSignIn() {
  if (dialog.querySelector("[data-asks-to-sign-in]")) return;
  const body = document.createElement("div");
  body.className = "stack";
  body.dataset.asksToSignIn = "";
  const title = document.createElement("h2");
  title.textContent = "Your sign-in has ended";
  const text = document.createElement("p");
  text.textContent = "Sign in again in a new tab; then go on here. Nothing on this page is lost.";
  const actions = document.createElement("div");
  actions.className = "actions";
  const link = document.createElement("a");
  link.className = "button";
  link.href = "/ui/sign-in";
  link.target = "_blank";
  link.textContent = "Sign in";
  const close = document.createElement("button");
  close.type = "button";
  close.dataset.kind = "secondary";
  close.dataset.close = "";
  close.textContent = "Back to the page";
  actions.append(link, close);
  body.append(title, text, actions);
  showDialog(body);
}

// The parameter that made a message is not part of the page's address.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

localise(document.body);
if (document.body.dataset.user) follow(document.body.dataset.user);
