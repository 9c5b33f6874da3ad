"""Everything from the credential to the results with nothing but a keyboard."""

import re

from playwright.async_api import Locator, Page, expect

from tests.support.browsing import Visitor
from tests.support.new_job import GOOD, JOB, begin
from tests.support.world import World

MAX_STOPS = 120
SLOW_MS = 15_000
IS_FOCUSED = "one => one === document.activeElement"


async def tab_to(page: Page, goal: Locator) -> None:
    """Press Tab until the goal has the focus, as somebody without a mouse does."""
    await expect(goal).to_be_visible()
    for _ in range(MAX_STOPS):
        if await goal.evaluate(IS_FOCUSED):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {goal}")


async def test_job_when_made_by_keyboard_alone_then_credential_submission_and_results_work(
    visitor: Visitor, world: World
) -> None:
    sandbox = await world.sandbox()
    service_id, panel_id = await world.add_service(sandbox)
    for held in await world.alice.call("GET", "/users/me/service-credentials", expect=200):
        path = f"/users/me/service-credentials/{held['id']}"
        await world.alice.call("DELETE", path, expect=204)
    page = await begin(visitor)
    # Chromium hands choosers over from some moment after it is asked to: so it is asked here, long before the first.
    page.on("filechooser", lambda _: None)
    keys = page.keyboard
    card = page.locator(f"#service-{service_id}")

    await tab_to(page, page.locator("#f-input_file"))
    async with page.expect_file_chooser() as chooser:
        await keys.press("Enter")
    await (await chooser.value).set_files([GOOD])
    await expect(page.locator(".picked-file")).to_contain_text("25 samples", timeout=SLOW_MS)
    await expect(page.locator("#f-input_file")).to_be_focused()

    await tab_to(page, card.locator("input[name=service]"))
    await keys.press("Space")
    await tab_to(page, card.get_by_role("link", name="Add a credential"))
    await keys.press("Enter")
    dialog = page.get_by_role("dialog")
    await tab_to(page, dialog.get_by_label("Token"))
    await keys.insert_text(sandbox.token)
    await tab_to(page, dialog.get_by_role("button", name="Store and verify"))
    await keys.press("Enter")
    await expect(dialog).to_contain_text(
        re.compile("accept|verified|takes", re.IGNORECASE), timeout=SLOW_MS
    )
    await keys.press("Escape")
    await expect(card).to_contain_text("Your credential, tested", timeout=SLOW_MS)

    panel = card.locator(f"#panel-{service_id}-{panel_id}")
    await tab_to(page, panel)
    if not await panel.is_checked():
        # Held while the part may be drawn anew, as a finger does.
        await keys.press("Space", delay=150)
    await expect(panel).to_be_checked()
    await expect(panel).to_be_focused()
    await expect(page.locator("#sending .receiver")).not_to_contain_text(["still to be chosen"])
    await tab_to(page, page.locator("#submit"))
    await keys.press("Enter")
    await page.wait_for_url(JOB, timeout=20_000)
    job_id = page.url.rpartition("/")[2]
    await world.alice.until_end(job_id, "completed")
    plots = page.get_by_role("link", name="Plots")
    await tab_to(page, plots)
    await keys.press("Enter")
    await page.wait_for_url(re.compile("/results$"))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
