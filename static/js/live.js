// News of the user's jobs, as they happen (GET /events). Each becomes two events on the body: `job:<id>` for what shows that job,
// and `jobs`; htmx parts name them in hx-trigger. `missed` (and `jobs` and `notices` of no job in particular) comes whenever a stream begins. A tab that nobody sees gives its stream back, because browsers allow six
// connections to a host; seen again, it goes on after the last event it had.

const RETRY_MS = [1000, 2000, 5000, 10000];

/** Follow the jobs of who is signed in. */
export function follow() {
  let source = null;
  let last = null;
  let failures = 0;
  let timer = 0;

  const tell = (name, detail) => document.body.dispatchEvent(new CustomEvent(name, { detail }));
  hearAgain(tell);

  function open() {
    clearTimeout(timer);
    if (source || document.visibilityState === "hidden") return;
    source = new EventSource(last === null ? "/events" : `/events?last_event_id=${last}`);
    source.addEventListener("open", () => {
      // Whatever was missed, also between the drawing of the page and its first stream. Only now: what happens from here on, the stream tells.
      tell("missed", null);
      tell("jobs", null);
      tell("notices", null);
      failures = 0;
      tell("signed-in", null);
      document.body.dataset.live = "on";
      show(false);
    });
    source.addEventListener("status", (event) => {
      last = event.lastEventId;
      const job = JSON.parse(event.data);
      heard.set(`job:${job.job_id}`, performance.now());
      heard.set("jobs", performance.now());
      tell(`job:${job.job_id}`, job);
      tell("jobs", job);
      tell("notices", job);
    });
    source.addEventListener("error", async () => {
      close();
      document.body.dataset.live = "off";
      failures += 1;
      if (await hasEnded()) {
        show(false);
        tell("signed-out", null); // whoever comes back to this tab lets it try again
        return;
      }
      if (failures > 2) show(true);
      clearTimeout(timer);
      timer = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length) - 1]);
    });
  }

  // A stream does not say why it was refused.
  async function hasEnded() {
    try {
      return (await fetch("/api/auth/me", { method: "HEAD" })).status === 401;
    } catch {
      return false;
    }
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") {
      timer = setTimeout(close, 20_000);
    } else {
      clearTimeout(timer);
      open();
    }
  });
  addEventListener("focus", () => { if (!source) open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  open();
}

// A part that is being fetched when an event comes is replaced by one that never heard it: what it should have heard is told again.
// (htmx keeps the event for the element that asked, and drops it with that element.)

const heard = new Map();

function hearAgain(tell) {
  const asked = new WeakMap();
  document.body.addEventListener("htmx:beforeRequest", (event) => asked.set(event.detail.xhr, performance.now()));
  document.body.addEventListener("htmx:afterSettle", (event) => {
    const { elt, xhr, requestConfig } = event.detail;
    if (!requestConfig || requestConfig.elt.isConnected) return; // the former: going back, which asks for nothing
    const trigger = elt.getAttribute("hx-trigger") ?? "";
    for (const [name, at] of heard) {
      if (at > asked.get(xhr) && trigger.split(/[\s,]+/).includes(name)) tell(name, {});
    }
  });
}

function show(lost) {
  let box = document.querySelector(".live-lost");
  if (!lost) {
    box?.remove();
    return;
  }
  if (box) return;
  box = document.createElement("p");
  box.className = "live-lost badge";
  box.dataset.tone = "warn";
  box.setAttribute("role", "status");
  box.textContent = "Live updates are interrupted; trying again";
  document.body.append(box);
}
