"""Parts of a page that follow events: within a second, over a restart of the server, and none is lost."""

import asyncio
from pathlib import Path

from playwright.async_api import Page, Route, expect

from app.genotypes.testdata import write_test_files
from tests.support.browsing import Visitor
from tests.support.people import PASSWORD
from tests.support.story import submit_batch
from tests.support.world import World

JOB = "0f3c1a52-5b1e-4a0c-9a2e-7d7f3b8e1c11"
# Instead of the stream: events when the test wants them.
SOURCE = """
window.EventSource = class extends EventTarget {
  constructor() { super(); window.source = this; }
  close() {}
};
"""
SAY = f"""window.source.dispatchEvent(
  new MessageEvent("status", {{ data: JSON.stringify({{ job_id: "{JOB}" }}), lastEventId: "1" }}))"""


def part(number: int) -> str:
    return (
        f'<p id="part" hx-get="/ui/part" hx-trigger="job:{JOB} from:body" hx-swap="outerHTML">'
        f"{number}</p>"
    )


async def test_part_when_an_event_comes_while_it_is_fetched_then_it_is_fetched_once_more(
    visitor: Visitor,
) -> None:
    asked = 0
    go_on = asyncio.Event()

    async def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        number = asked
        await go_on.wait()
        await route.fulfill(body=part(number), content_type="text/html")

    await visitor.page.add_init_script(SOURCE)
    await visitor.page.route("**/ui/part", answer)
    await visitor.sign_in("alice", PASSWORD)
    page = visitor.page
    await page.evaluate(
        "html => { document.querySelector('main').innerHTML = html; htmx.process(document.querySelector('main')) }",
        part(0),
    )

    await page.evaluate(SAY)
    async with asyncio.timeout(5):
        while not asked:
            await asyncio.sleep(0.02)
    await page.evaluate(SAY)
    go_on.set()
    await expect(page.locator("#part")).to_have_text("2")
    await asyncio.sleep(0.3)
    assert asked == 2, "and then it rests"


# Notes when something first stands on the page, by the clock that the database has too.
NOTE = """([selector, text]) => {
  const look = () => {
    if (window.notedAt || !document.querySelector(selector)?.textContent.includes(text)) return;
    window.notedAt = Date.now();
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
}"""
# Keeps what is said in passing, which goes away by itself.
COMPLAINTS = """() => {
  window.complaints = [];
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) window.complaints.push(node.textContent);
  }).observe(document.getElementById("toasts"), { childList: true });
}"""
HEAR = """names => { for (const name of names) document.body.dispatchEvent(new CustomEvent(name, { detail: {} })) }"""
HIDE = """hidden => {
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def open_tab(visitor: Visitor, path: str) -> Page:
    """Open a page in a tab of its own, that follows events."""
    page = await visitor.context.new_page()
    await page.goto(visitor.base + path)
    await expect(page.locator("body[data-live=on]")).to_be_attached()
    return page


async def until_streams(world: World, count: int) -> None:
    """Wait until so many streams are open; the server sees after a few seconds that one was left."""
    events = world.platform.events
    async with asyncio.timeout(10):
        while events.open_streams != count:
            await asyncio.sleep(0.05)


async def test_lists_when_a_job_comes_before_their_first_stream_then_show_it_all_the_same(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(run_s=60)
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    await visitor.sign_in("alice", PASSWORD)
    begin = asyncio.Event()

    async def hold(route: Route) -> None:
        await begin.wait()
        await route.continue_()

    await visitor.context.route("**/events*", hold)
    shown = {"/ui/jobs": "#jobs", "/ui/": "#dashboard"}
    tabs = {}
    for path in shown:
        tabs[path] = await visitor.context.new_page()
        await tabs[path].goto(visitor.base + path)
    await world.alice.submit(*place, file, name="Came meanwhile")
    for path, selector in shown.items():
        await expect(tabs[path].locator(selector)).not_to_contain_text("Came meanwhile")

    begin.set()
    for path, selector in shown.items():
        await expect(tabs[path].locator(selector)).to_contain_text("Came meanwhile")


async def test_row_page_and_bell_when_a_job_ends_then_show_it_within_a_second(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(run_s=5)
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    job = await world.alice.submit(*place, file, name="A cohort")
    await world.alice.until_stage(job["id"], "remote_running")
    pool = world.platform.deps.pool
    await pool.execute("update notifications set is_read = true")

    await visitor.sign_in("alice", PASSWORD)
    places = {
        "row": ("/ui/jobs", f"#job-{job['id']}", "Completed"),
        "page": (f"/ui/jobs/{job['id']}", "#standing", "The results are here"),
        "bell": ("/ui/services", ".bell-count", "1"),
    }
    tabs = {}
    for name, (path, selector, text) in places.items():
        tabs[name] = await open_tab(visitor, path)
        await expect(tabs[name].locator(selector).filter(has_text=text)).to_have_count(0)
        await tabs[name].evaluate(NOTE, [selector, text])
    await world.alice.until_end(job["id"], "completed")
    ended = await pool.fetchval(
        "select max(timestamp) from job_status_updates where job_id = $1", job["id"]
    )
    took = {}
    for name, tab in tabs.items():
        await tab.wait_for_function("() => Boolean(window.notedAt)")
        took[name] = await tab.evaluate("window.notedAt") / 1000 - ended.timestamp()
    assert max(took.values()) < 1, took


async def test_pages_when_the_server_restarts_then_they_go_on_by_themselves(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    service_id, _ = await world.add_service(sandbox)
    sandbox.set_faults(run_s=60)
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    batch = await submit_batch(world, file, "A cohort", [service_id])
    (job,) = batch["jobs"]
    await world.alice.until_stage(job["id"], "remote_running")

    await visitor.sign_in("alice", PASSWORD)
    said = {
        "/ui/jobs": f"#job-{job['id']}",
        f"/ui/jobs/{job['id']}": "#standing",
        f"/ui/batches/{batch['id']}": "#batch",
        "/ui/": "#dashboard",
    }
    tabs = {path: await open_tab(visitor, path) for path in said}
    for tab in tabs.values():
        await tab.evaluate("window.sameLoad = true")
        await tab.evaluate(COMPLAINTS)

    # The browser tells its console of each request that fails, and so does htmx of its own: no page can keep them from it.
    visitor.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"]
    visitor.expected += ["ERR_EMPTY_RESPONSE", "htmx:sendError", "htmx:afterRequest"]
    await world.stop()
    for tab in tabs.values():
        await expect(tab.locator("body[data-live=off]")).to_be_attached()
        async with tab.expect_event("requestfailed", lambda request: "/ui/" in request.url):
            await tab.evaluate(HEAR, ["jobs", "notices", "missed", f"job:{job['id']}"])
    # What happens before anybody listens again.
    await visitor.context.route("**/events*", lambda route: route.abort("connectionrefused"))
    await world.start()
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel")
    await world.alice.until_end(job["id"], "cancelled")
    await visitor.context.unroute("**/events*")

    for tab in tabs.values():
        await expect(tab.locator("body[data-live=on]")).to_be_attached(timeout=15_000)
    visitor.expected.clear()
    for path, tab in tabs.items():
        await expect(tab.locator(said[path])).to_contain_text("ancelled", timeout=10_000)
        await expect(tab.locator(".live-lost")).to_have_count(0)
        assert await tab.evaluate("window.sameLoad"), f"{path} was loaded again"
        assert await tab.evaluate("window.complaints") == [], "nobody asked for anything"


async def test_tab_when_nobody_sees_it_then_gives_its_stream_back_and_misses_nothing(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(run_s=60)
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    job = await world.alice.submit(*place, file, name="A cohort")
    await world.alice.until_stage(job["id"], "remote_running")
    await visitor.sign_in("alice", PASSWORD)
    page = visitor.page
    await page.clock.install()
    await page.goto(f"{world.base}/ui/jobs")
    await expect(page.locator("body[data-live=on]")).to_be_attached()
    row = page.locator(f"#job-{job['id']}")
    await expect(row).to_contain_text("Running")

    await page.evaluate(HIDE, True)
    await page.clock.run_for(10_000)
    await page.evaluate(HIDE, False)  # only a moment: nothing changes
    await page.clock.run_for(15_000)
    await until_streams(world, 1)
    await page.evaluate(HIDE, True)
    await page.clock.run_for(21_000)
    await until_streams(world, 0)
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel")
    await world.alice.until_end(job["id"], "cancelled")
    await expect(row).to_contain_text("Running")

    await page.evaluate(HIDE, False)
    await page.clock.resume()
    await expect(row).to_contain_text("Cancelled")
    await until_streams(world, 1)
