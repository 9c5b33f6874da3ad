"""The page of a job in a browser: live from queued to its results, a failure and its retry, cancelling, deleting, the report's frame."""

import hashlib
import re
import time
import zipfile
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.genotypes.testdata import write_test_files
from tests.browser.conftest import Visit
from tests.support.browsing import DESKTOP, PHONE, QUIET, Visitor
from tests.support.people import PASSWORD
from tests.support.world import Sandbox, World

LOOKS = [(DESKTOP, "light"), (PHONE, "dark")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small, valid input."""
    return write_test_files(tmp_path / "input", None)[0].path


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(world: World) -> Sandbox:
    return await world.sandbox()


@pytest_asyncio.fixture(loop_scope="session")
async def place(world: World, sandbox: Sandbox) -> tuple[int, int]:
    return await world.add_service(sandbox)


async def open_job(visitor: Visitor, job_id: str) -> Page:
    await visitor.sign_in("alice", PASSWORD)
    return await visitor.open(f"/ui/jobs/{job_id}")


async def ensure_good(visitor: Visitor) -> None:
    """Look at the page as a large and as a small screen show it, light and dark."""
    for size, scheme in LOOKS:
        await visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
        await visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await visitor.ensure_fits()
        await visitor.ensure_accessible()
    await visitor.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


async def test_job_when_it_runs_then_the_page_follows_and_its_results_are_whole(
    visitor: Visitor,
    world: World,
    sandbox: Sandbox,
    place: tuple[int, int],
    file: Path,
    tmp_path: Path,
) -> None:
    sandbox.set_faults(wait_s=1.0, run_s=5.0)
    job = await world.alice.submit(*place, file, name="cohort <b>20</b>")
    page = await open_job(visitor, job["id"])
    await page.evaluate("window.sameLoad = true")
    now = page.locator("[aria-current=step]")
    await expect(page.locator("#standing")).to_contain_text(
        re.compile("In the queue of|Running at")
    )
    await expect(now).to_contain_text("At the service")
    await page.locator("#messages summary").click()  # closed by the reader: stays so
    await expect(page.locator("#messages summary")).to_be_focused()
    await expect(page.locator("#standing")).to_contain_text("Running at")
    await ensure_good(visitor)

    await world.alice.until_end(job["id"], "completed")
    ended = time.monotonic()
    await expect(page.locator("#standing")).to_have_text("The results are here")
    assert time.monotonic() - ended < 1.0
    assert await page.evaluate("window.sameLoad")
    await expect(page.locator("#messages summary")).to_be_focused()
    await expect(page.locator("#job-said")).to_contain_text("The results are here")
    await expect(page.locator("#messages")).not_to_have_attribute("open", "")
    await expect(page.get_by_role("heading", level=1)).to_have_text("cohort <b>20</b>")
    await expect(page).to_have_title(re.compile("The results are here"))
    await ensure_good(visitor)

    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download all").click()
    await (await started.value).save_as(tmp_path / "results.zip")
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        for name in archive.namelist():
            row = page.locator("li.file", has=page.get_by_text(name, exact=True))
            await expect(row.locator(".sha code")).to_have_text(
                hashlib.sha256(archive.read(name)).hexdigest()
            )

    await page.get_by_text("Fetch with curl").click()
    await page.get_by_role("button", name="Make one that needs no token").click()
    await expect(page.locator("#script-text")).to_contain_text("/files/download/")
    await expect(page.locator("#script-text")).not_to_contain_text("FIP_TOKEN")


async def test_report_when_shown_then_it_stands_in_a_frame_that_runs_nothing(
    visitor: Visitor, world: World, place: tuple[int, int], file: Path
) -> None:
    job = await world.alice.submit(*place, file)
    await world.alice.until_end(job["id"], "completed")
    await world.platform.deps.pool.execute(
        "update files set size_bytes = $1 where name = 'quality-control.html'",
        len(
            evil
            := b"<h1>QC</h1><script>parent.evil = 1; document.title = 'evil'</script><img src=/ui/>"
        ),
    )
    key = await world.platform.deps.pool.fetchval(
        "select storage_key from files where name = 'quality-control.html'"
    )
    path = world.platform.deps.store.path(key)
    path.chmod(0o600)
    path.write_bytes(evil)

    visitor.expected += ["Blocked script execution", "Content Security Policy"]
    page = await open_job(visitor, job["id"])
    frame = page.locator("iframe.report")
    await frame.scroll_into_view_if_needed()
    await expect(page.frame_locator("iframe.report").get_by_role("heading")).to_have_text("QC")
    assert await page.evaluate("window.evil === undefined")
    assert await frame.get_attribute("sandbox") == ""
    assert await frame.get_attribute("title")


async def test_job_when_failed_then_is_explained_and_retried_as_a_new_one(
    visitor: Visitor, world: World, sandbox: Sandbox, place: tuple[int, int], file: Path
) -> None:
    sandbox.set_faults(job_error="strand_flips")
    job = await world.alice.submit(*place, file, name="x" * 180)
    await world.alice.until_end(job["id"], "failed")
    page = await open_job(visitor, job["id"])
    await expect(page.locator("#standing")).to_have_text("The job failed")
    await expect(page.locator(".hero")).to_contain_text("on the other strand")
    await expect(page.locator(".step[data-mark=stopped]")).to_contain_text("At the service")
    await page.get_by_text("The end of the log").click()
    await expect(page.locator("#log-tail pre")).to_contain_text("strand flips")
    await ensure_good(visitor)

    sandbox.set_faults()
    await page.get_by_role("link", name="Retry").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Run this job again?")
    await visitor.ensure_accessible()
    await page.get_by_role("button", name="Run it again").click()
    await expect(page.get_by_role("status").first).to_contain_text("This is the new job")
    assert job["id"] not in page.url
    await expect(page.locator("#standing")).to_have_text("The results are here")
    await page.get_by_role("link", name="an earlier job").click()
    await expect(page.get_by_text("Tried again as")).to_be_visible()


async def test_job_when_cancelled_in_two_tabs_then_both_say_how_it_stands_and_it_is_deleted(
    visits: Visit, world: World, sandbox: Sandbox, place: tuple[int, int], file: Path
) -> None:
    sandbox.set_faults(run_s=60)
    job = await world.alice.submit(*place, file)
    await world.alice.until_stage(job["id"], "remote_running")
    async with visits() as visitor:
        page = await open_job(visitor, job["id"])
        other = await visitor.context.new_page()
        await other.goto(f"{world.base}/ui/jobs/{job['id']}")
        for tab in (page, other):
            await tab.get_by_role("link", name="Cancel").click()
            await expect(tab.get_by_role("dialog")).to_contain_text("Cancel this job?")
        await page.get_by_role("button", name="Cancel the job").click()
        await expect(page.locator("#standing")).to_have_text("The job was cancelled")
        await expect(other.locator("#standing")).to_have_text("The job was cancelled")
        await other.get_by_role("button", name="Cancel the job").click()
        await expect(other.get_by_role("status").first).to_contain_text("already ended")
        await ensure_good(visitor)

        await page.get_by_role("link", name="Delete").click()
        await page.get_by_role("button", name="Delete it for good").click()
        await page.wait_for_url(re.compile(r"/ui/jobs(\?|$)"))
        assert (await world.alice.call("GET", f"/jobs/{job['id']}"))["status"] == 404


async def test_job_when_the_sign_in_has_ended_then_says_so_once_and_keeps_the_page(
    visitor: Visitor, world: World, sandbox: Sandbox, place: tuple[int, int], file: Path
) -> None:
    sandbox.set_faults(run_s=60)
    job = await world.alice.submit(*place, file)
    await world.alice.until_stage(job["id"], "remote_running")
    page = await open_job(visitor, job["id"])
    await expect(page.locator("body")).to_have_attribute("data-live", "on")
    # Refusals and not requests: what the page asked by itself just before is answered still.
    refusals: list[str] = []
    page.on(
        "response",
        lambda answer: (
            refusals.append(answer.url) if "/live" in answer.url and answer.status == 401 else None
        ),
    )
    visitor.expected.append("401")
    await visitor.context.clear_cookies()
    for _ in range(3):
        await page.evaluate("htmx.trigger('#job', 'refresh')")
        await expect(page.get_by_role("dialog")).to_contain_text("Your sign-in has ended")
    await page.wait_for_function(QUIET)
    assert len(refusals) == 1
    await expect(page.locator("#standing")).to_contain_text("Running at")


async def test_job_when_its_owner_names_the_run_then_it_goes_on_to_its_results(
    visitor: Visitor, world: World, sandbox: Sandbox, place: tuple[int, int], file: Path
) -> None:
    sandbox.set_faults(run_s=3)
    job = await world.alice.submit(*place, file)
    there = await world.alice.until(job["id"], lambda now: now["external_job_id"] is not None)
    await world.platform.deps.pool.execute(
        "update imputation_jobs set stage = 'decision_needed', status = 'queued', external_job_id = null, has_slot = true,"
        " next_action = 'submit', next_action_at = now() + interval '1 hour', intent_at = now(), step_number = step_number + 1,"
        " hold_reason = 'It may be running there' where id = $1",
        job["id"],
    )
    page = await open_job(visitor, job["id"])
    await expect(page.locator("#standing")).to_have_text("Your decision is needed")
    await ensure_good(visitor)
    await page.get_by_role("link", name="It runs there").click()
    dialog = page.get_by_role("dialog")
    await visitor.ensure_accessible()
    visitor.expected.append("400")
    await dialog.get_by_label("Id of the run").fill("no id at all")
    await dialog.get_by_role("button", name="This is the job").click()
    await expect(page.get_by_text("This can be no run id")).to_be_visible()
    await visitor.ensure_accessible()
    await page.get_by_label("Id of the run").fill(there["external_job_id"])
    await page.get_by_role("button", name="This is the job").click()
    await expect(page.get_by_role("status").first).to_contain_text("The run is found")
    await expect(page.locator("#standing")).to_have_text("The results are here")


async def test_job_when_there_is_no_script_then_everything_works_by_pages(
    visits: Visit, world: World, sandbox: Sandbox, place: tuple[int, int], file: Path
) -> None:
    sandbox.set_faults(run_s=60)
    job = await world.alice.submit(*place, file)
    await world.alice.until_stage(job["id"], "remote_running")
    async with visits(java_script_enabled=False, viewport=PHONE) as visitor:
        page = await open_job(visitor, job["id"])
        await page.get_by_role("link", name="Cancel").click()
        await expect(page).to_have_url(re.compile("/cancel$"))
        await page.get_by_role("button", name="Cancel the job").click()
        await expect(page.get_by_role("status").first).to_contain_text("being cancelled")
