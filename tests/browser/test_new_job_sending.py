"""Sending a new job at a browser: whatever breaks on its way, it is told, kept, and made once."""

import asyncio
import random
from pathlib import Path

from playwright.async_api import Route, expect

from tests.genotypes.vcf_files import bgzf, header, record
from tests.support.browsing import Visitor
from tests.support.new_job import (
    CONTIG,
    GOOD,
    JOB,
    SAMPLES,
    begin,
    choose_panel,
    files_of,
    jobs_of_alice,
)
from tests.support.world import World


async def test_job_when_pressed_twice_in_two_tabs_then_one_is_made(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    file = tmp_path / "chr20.vcf.gz"
    file.write_bytes(GOOD["buffer"])
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    other = await visitor.context.new_page()
    await other.goto(f"{world.base}/ui/jobs/new")
    held = asyncio.Event()

    async def answer_late(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await visitor.context.route("**/jobs", answer_late)
    for tab in (page, other):
        await files_of(tab).set_input_files(file)
        await choose_panel(tab, service_id, panel_id)
        await tab.locator("#submit").dblclick()
        await expect(tab.locator("#phase")).to_have_text("Sending your files…")
    held.set()
    for tab in (page, other):
        await tab.wait_for_url(JOB)
    assert page.url == other.url
    assert len(await jobs_of_alice(world)) == 1


async def test_upload_when_the_connection_breaks_then_a_retry_finds_the_same_job(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await choose_panel(page, service_id, panel_id)
    visitor.expected.append("ERR_CONNECTION_RESET")

    async def lose_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort("connectionreset")

    await page.route("**/jobs", lose_the_answer, times=1)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator("#phase")).to_contain_text("The connection broke")
    await visitor.ensure_accessible()
    await page.get_by_role("button", name="Try again").click()
    await page.wait_for_url(JOB)
    (job,) = await jobs_of_alice(world)
    assert page.url.endswith(job["id"])


async def test_upload_when_refused_on_its_way_then_it_is_told_and_all_is_kept(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    rng = random.Random(20)
    lines = [
        record(1000 + place, info=rng.randbytes(2000).hex(), genotypes=["0/1"] * len(SAMPLES))
        for place in range(2000)
    ]
    file = tmp_path / "large.vcf.gz"
    file.write_bytes(bgzf(header(SAMPLES, CONTIG["20"]) + "".join(lines)))
    await files_of(page).set_input_files(file)
    await choose_panel(page, service_id, panel_id)

    async def fill_up(route: Route) -> None:
        answer = await route.fetch()
        object.__setattr__(world.platform.deps.settings, "max_stored_bytes_per_user", 1000)
        await route.fulfill(response=answer)

    await page.route("**/check", fill_up, times=1)
    visitor.expected.append("403")
    await page.get_by_role("button", name="Submit").click()
    full = page.get_by_role("alert").filter(has_text="storage on this platform is full")
    await expect(full).to_be_visible(timeout=20_000)

    # The next time it is known before anything is sent.
    await page.route("**/jobs", lambda route: route.abort())
    await page.get_by_role("button", name="Submit").click()
    await expect(full).to_be_visible()


async def test_sign_in_when_it_ended_then_nothing_is_lost(visitor: Visitor, world: World) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await choose_panel(page, service_id, panel_id)
    cookies = await visitor.context.cookies()
    await visitor.context.clear_cookies()
    visitor.expected.append("401")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Your sign-in has ended")
    await visitor.context.add_cookies(cookies)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Back to the page").click()
    await page.get_by_role("button", name="Submit").click()
    await page.wait_for_url(JOB)
