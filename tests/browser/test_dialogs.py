"""Dialogs and parts that are drawn anew: what came last counts, and the focus stays where it was."""

import asyncio
from pathlib import Path

from playwright.async_api import Route, expect

from app.genotypes.testdata import write_test_files
from tests.support.browsing import QUIET, Visitor
from tests.support.people import PASSWORD
from tests.support.world import World


async def test_dialog_when_the_sign_in_ends_while_one_is_open_then_it_says_so(
    visitor: Visitor, world: World
) -> None:
    await world.add_service(await world.sandbox())
    await visitor.sign_in("alice", PASSWORD)
    page = await visitor.open("/ui/settings/service-credentials")
    await page.locator("a[data-dialog]").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()

    await page.evaluate("document.body.dispatchEvent(new CustomEvent('signed-out'))")
    await page.evaluate("new Promise(done => setTimeout(done, 100))")

    await expect(dialog.get_by_role("heading")).to_have_text("Your sign-in has ended")


async def test_dialog_when_two_are_asked_for_then_the_last_one_is_shown_though_it_came_first(
    visitor: Visitor, world: World
) -> None:
    for _ in range(2):
        await world.add_service(await world.sandbox())
    first, last = [
        f"/ui/settings/service-credentials/{held['id']}/delete"
        for held in await world.alice.call("GET", "/users/me/service-credentials")
    ]
    await visitor.sign_in("alice", PASSWORD)
    page = await visitor.open("/ui/settings/service-credentials")
    go_on = asyncio.Event()

    async def late(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route(f"**{first}", late)
    await page.locator(f"a[data-dialog][href='{first}']").first.click()
    await page.locator(f"a[data-dialog][href='{last}']").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    said = await dialog.inner_text()
    async with page.expect_response(f"**{first}"):
        go_on.set()
    await page.evaluate("new Promise(done => setTimeout(done, 100))")
    assert await dialog.inner_text() == said
    assert page.url.endswith("/ui/settings/service-credentials")


async def test_focus_when_a_part_is_drawn_anew_then_stays_where_it_was(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(run_s=60)
    file = write_test_files(tmp_path, None)[0].path
    job = await world.alice.submit(*place, file, name="A cohort")
    await world.alice.until_stage(job["id"], "remote_running")
    await visitor.sign_in("alice", PASSWORD)

    for path, goal, event in (
        ("/ui/jobs", f"#job-{job['id']} input[type=checkbox]", f"job:{job['id']}"),
        ("/ui/", "#dashboard a[href='/ui/services']", "jobs"),
        ("/ui/notifications", "#notices form button >> nth=0", "notices"),
    ):
        page = await visitor.open(path)
        await expect(page.locator("body")).to_have_attribute("data-live", "on")
        await page.wait_for_function(QUIET)
        await page.locator(goal).focus()
        before = await page.locator(goal).element_handle()
        await page.evaluate(
            "name => document.body.dispatchEvent(new CustomEvent(name, { detail: {} }))", event
        )
        assert before is not None
        await page.wait_for_function("one => !one.isConnected", arg=before)
        await expect(page.locator(goal)).to_be_focused()
