"""Parts of a page that follow events: none is lost, also one that comes while the part is being fetched."""

import asyncio

from playwright.async_api import Route, expect

from tests.support.browsing import Visitor
from tests.support.people import PASSWORD

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
