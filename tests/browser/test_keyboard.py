"""Everything from the credential to the results with nothing but a keyboard."""

import re

from playwright.async_api import expect

from tests.support.browsing import Visitor, press_to
from tests.support.new_job import GOOD, JOB, begin
from tests.support.world import World

SLOW_MS = 15_000


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

    await press_to(page.locator("#f-input_file"))
    async with page.expect_file_chooser() as chooser:
        await keys.press("Enter")
    await (await chooser.value).set_files([GOOD])
    await expect(page.locator(".picked-file")).to_contain_text("25 samples", timeout=SLOW_MS)
    await expect(page.locator("#f-input_file")).to_be_focused()

    await press_to(card.locator("input[name=service]"))
    await keys.press("Space")
    await press_to(card.get_by_role("link", name="Add a credential"))
    await keys.press("Enter")
    dialog = page.get_by_role("dialog")
    await press_to(dialog.get_by_label("Token"))
    await keys.insert_text(sandbox.token)
    await press_to(dialog.get_by_role("button", name="Store and verify"))
    await keys.press("Enter")
    await expect(dialog).to_contain_text(
        re.compile("accept|verified|takes", re.IGNORECASE), timeout=SLOW_MS
    )
    await keys.press("Escape")
    await expect(card).to_contain_text("Your credential, tested", timeout=SLOW_MS)

    panel = card.locator(f"#panel-{service_id}-{panel_id}")
    await press_to(panel)
    if not await panel.is_checked():
        # Held while the part may be drawn anew, as a finger does.
        await keys.press("Space", delay=150)
    await expect(panel).to_be_checked()
    await expect(panel).to_be_focused()
    await expect(page.locator("#sending .receiver")).not_to_contain_text(["still to be chosen"])
    await press_to(page.locator("#submit"))
    await keys.press("Enter")
    await page.wait_for_url(JOB, timeout=20_000)
    job_id = page.url.rpartition("/")[2]
    await world.alice.until_end(job_id, "completed")
    plots = page.get_by_role("link", name="Plots")
    await press_to(plots)
    await keys.press("Enter")
    await page.wait_for_url(re.compile("/results$"))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
