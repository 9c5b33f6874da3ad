// Times in the reader's own zone. The server writes UTC, which is what stands there without JavaScript.

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(at) {
  const seconds = (at - Date.now()) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length * 0.95) return relative.format(Math.round(seconds / length), unit);
  }
  return seconds <= 5 ? "just now" : "in a moment";
}

/** Write all times below an element anew. */
export function localise(root) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const at = new Date(element.dateTime);
    element.textContent = ago(at);
    element.title = full.format(at);
  }
  for (const element of root.querySelectorAll("time[data-full]")) {
    const at = new Date(element.dateTime);
    element.title = element.dateTime;
    element.textContent = full.format(at);
  }
}

setInterval(() => localise(document.body), 30_000);
