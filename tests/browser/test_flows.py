"""Whole ways through the pages in a browser, as people go them; each page's own tests look at what it can do besides."""

import asyncio
import hashlib
import re
import time
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from app.genotypes.example import ExamplePaths
from app.genotypes.testdata import make_masked, write_test_files
from app.sandbox.engine.tools import Tools
from app.sandbox.reference import find_example
from tests.browser.conftest import Visit
from tests.support.browsing import Visitor, press_to
from tests.support.people import PASSWORD
from tests.support.story import submit_batch
from tests.support.world import World

JOB = re.compile(r"/ui/jobs/[0-9a-f-]{36}$")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small, valid input."""
    return write_test_files(tmp_path / "input", None)[0].path


async def register(visitor: Visitor, name: str) -> None:
    """Make an account at the first page, and be signed in."""
    page = await visitor.open("/ui/")
    await page.locator("a[href='/ui/register']").first.click()
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("E-mail").first.fill(f"{name}@example.org")
    for field in await page.locator("main input[type=password]").all():
        await field.fill(PASSWORD)
    await page.locator("main form button").last.click()
    await page.wait_for_load_state()
    if await page.get_by_role("button", name="Sign in").count():
        await page.get_by_label("User name").fill(name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label(f"Account menu of {name}")).to_be_visible()


async def add_credential(page: Page, token: str) -> None:
    """Go by the first of the dashboard's three steps: try a token, store it, test the connection."""
    await page.locator("#step-credential").click()
    await page.get_by_role("link", name="Add a credential").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Token").fill(token)
    await dialog.get_by_role("button", name="Test connection").click()
    await expect(dialog.get_by_role("status")).to_contain_text("takes it")
    await dialog.get_by_label("Token").fill(token)
    await dialog.get_by_role("button", name="Store and verify").click()
    await dialog.get_by_role("link", name="Go on").click()
    card = page.locator(".credential")
    await expect(card).to_contain_text("Verified")
    await card.get_by_role("button", name="Test connection").click()
    await expect(card.get_by_role("status")).to_contain_text("just now")
    assert token not in await page.content()


async def submit(page: Page, file: Path, service_id: int) -> str:
    """Fill in the form of a new job as somebody does who knows what to choose; give the job's id."""
    await page.get_by_role("link", name="New job").first.click()
    await page.locator("#f-input_file").set_input_files(file)
    await expect(page.locator("#picked")).to_contain_text("chromosome 20")
    card = page.locator(f"#service-{service_id}")
    await card.locator("input[name=service]").check()
    await card.locator(f"input[name=panel-{service_id}]").first.check()
    await expect(page.locator("#sending")).not_to_contain_text("still to be chosen")
    if await page.get_by_label("Genome build").input_value() == "":
        await page.get_by_label("Genome build").select_option("hg19")
    await page.get_by_role("button", name="Submit").click()
    await page.wait_for_url(JOB, timeout=30_000)
    return page.url.rpartition("/")[2]


async def download(page: Page, folder: Path) -> dict[str, bytes]:
    """Download everything; check each file against the checksum that the page shows, and give them by name."""
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download all").click()
    path = folder / "results.zip"
    await (await started.value).save_as(path)
    shown = await page.locator("main").inner_text()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    full = await page.content()
    for name, data in found.items():
        assert Path(name).name in shown
        assert hashlib.sha256(data).hexdigest() in full, name
    return found


async def watch_progress(page: Page) -> list[int]:
    """Note how far the page says the job is, until it says that the results are here; the page is never loaded again."""
    await page.evaluate("window.sameLoad = true")
    seen: list[int] = []
    until = time.monotonic() + 120
    while not await page.get_by_role("link", name="Download all").is_visible():
        assert time.monotonic() < until, seen
        for value in await page.locator("#main progress").evaluate_all(
            "all => all.map(p => p.value)"
        ):
            if not seen or value != seen[-1]:
                seen.append(int(value))
        await asyncio.sleep(0.05)
    assert await page.evaluate("window.sameLoad")
    assert seen == sorted(seen), "progress went back"
    return seen


async def see_plots(visitor: Visitor) -> None:
    """Go to the plots of the job, and wait until something is drawn."""
    page = visitor.page
    await page.get_by_role("link", name="Plots").first.click()
    await page.wait_for_url("**/results")
    await expect(page.locator("canvas, svg[role=img], figure svg").first).to_be_visible(
        timeout=60_000
    )
    await visitor.ensure_accessible()
    await visitor.ensure_fits()


async def test_newcomer_when_going_the_whole_way_then_holds_verified_results_and_plots(
    visitor: Visitor, world: World, file: Path, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    service_id, _ = await world.add_service(sandbox, name="Pan-African Imputation Server")
    sandbox.set_faults(wait_s=0.5, run_s=1.5)

    await register(visitor, "newcomer")
    page = visitor.page
    await add_credential(page, sandbox.token)

    await visitor.open("/ui/")
    await submit(page, file, service_id)
    seen = await watch_progress(page)
    assert len(seen) > 2, seen
    found = await download(page, tmp_path)
    assert "chr20.dose.vcf.gz" in found
    await see_plots(visitor)


async def test_imputation_when_it_is_real_then_its_results_come_through_the_pages(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    if missing := Tools.find().missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    example = find_example(tmp_path / "example", fetch=False)
    if example is None:
        pytest.skip("the example data of Debian's shapeit4-example are not there")
    paths = ExamplePaths(
        reference=example.reference, unphased=example.unphased, genetic_map=example.genetic_map
    )
    masked = await asyncio.to_thread(make_masked, paths, tmp_path / "input")
    service_id, _ = await world.add_service(await world.sandbox(engine="real"))

    await visitor.sign_in("alice", PASSWORD)
    page = visitor.page
    await submit(page, masked.target_vcf, service_id)
    await watch_progress(page)
    found = await download(page, tmp_path)
    assert {"chr20.dose.vcf.gz", "chr20.info.gz"} <= set(found)
    await see_plots(visitor)


async def test_service_when_its_job_fails_then_the_way_out_is_on_the_page_and_works(
    visitor: Visitor, world: World, file: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(job_error="strand_flips")
    job = await world.alice.submit(*place, file, name="A cohort")
    await world.alice.until_end(job["id"], "failed")

    await visitor.sign_in("alice", PASSWORD)
    page = await visitor.open("/ui/jobs?status=failed")
    await page.get_by_role("link", name="A cohort").click()
    await expect(page.locator("main")).to_contain_text("strand flips")
    await visitor.ensure_accessible()
    sandbox.set_faults()
    await page.locator("a[href$='/retry']").first.click()
    await page.locator("dialog form[action$='/retry'] button").click()
    await page.wait_for_url(
        lambda url: bool(JOB.search(url.partition("?")[0])) and job["id"] not in url
    )
    await expect(page.get_by_role("link", name="Download all")).to_be_visible(timeout=20_000)


async def test_list_and_page_when_open_in_two_tabs_then_both_follow_and_one_cancels(
    visits: Visit, world: World, file: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(wait_s=1.0, run_s=60)
    async with visits() as visitor:
        await visitor.sign_in("alice", PASSWORD)
        listed = await visitor.open("/ui/jobs")
        job = await world.alice.submit(*place, file, name="A cohort")
        row = listed.get_by_role("row").filter(has_text="A cohort")
        await expect(row).to_contain_text("Queued", timeout=3_000)

        page = await visitor.context.new_page()
        await page.goto(f"{world.base}/ui/jobs/{job['id']}")
        await expect(row).to_contain_text("Running")
        await expect(page.locator("#standing")).to_contain_text("Running at")
        await page.get_by_role("link", name="Cancel").first.click()
        await page.get_by_role("dialog").get_by_role("button", name=re.compile("Cancel")).click()
        await expect(row).to_contain_text("Cancelled", timeout=20_000)
        await expect(page.locator("#standing")).to_contain_text("cancelled")


async def test_pages_when_there_is_only_a_keyboard_then_a_job_is_found_and_cancelled(
    visitor: Visitor, world: World, file: Path
) -> None:
    sandbox = await world.sandbox()
    place = await world.add_service(sandbox)
    sandbox.set_faults(run_s=60)
    job = await world.alice.submit(*place, file, name="A cohort")
    await world.alice.until_stage(job["id"], "remote_running")

    page = await visitor.open("/ui/sign-in")
    press = page.keyboard.press
    await press("Tab")
    assert await page.evaluate("document.activeElement.matches('a.skip')")
    await press("Enter")
    await press_to(page.locator("#f-username"))
    await page.keyboard.type("alice")
    await press("Tab")
    await page.keyboard.type(PASSWORD)
    await press("Enter")
    await page.wait_for_url("**/ui/")

    # The account menu opens, and Escape gives the focus back.
    await press_to(page.locator("details.menu > summary"))
    await press("Enter")
    await expect(page.get_by_role("link", name="Profile")).to_be_visible()
    await press("Tab")
    await press("Escape")
    assert await page.evaluate("document.activeElement.matches('details.menu > summary')")

    await press_to(page.locator("a[href='/ui/jobs']"), "Shift+Tab")
    await press("Enter")
    await page.wait_for_url("**/ui/jobs")
    await press_to(page.locator(f"a[href='/ui/jobs/{job['id']}']"))
    await press("Enter")
    await page.wait_for_url(JOB)
    await press_to(page.locator("a[href$='/cancel']"))
    await press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await press("Escape")
    await expect(page.get_by_role("dialog")).not_to_be_visible()
    assert await page.evaluate("document.activeElement.matches(\"a[href$='/cancel']\")"), (
        "closing a dialog gives the focus back"
    )
    await press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await press_to(page.locator("dialog button[data-kind=danger], dialog form button:not([type])"))
    await press("Enter")
    await expect(page.locator("#standing")).to_contain_text("cancelled")


async def test_batch_when_compared_then_both_panels_are_side_by_side(
    visitor: Visitor, world: World, file: Path
) -> None:
    first, _ = await world.add_service(await world.sandbox())
    other, _ = await world.add_service(await world.sandbox())
    batch = await submit_batch(world, file, "A cohort", (first, other))
    for job in batch["jobs"]:
        await world.alice.until_end(job["id"], "completed")

    await visitor.sign_in("alice", PASSWORD)
    page = await visitor.open(f"/ui/batches/{batch['id']}")
    await page.get_by_role("link", name=re.compile("compare", re.IGNORECASE)).first.click()
    await page.wait_for_url("**/compare**")
    await expect(page.locator("canvas, svg[role=img], figure svg").first).to_be_visible(
        timeout=60_000
    )
    await visitor.ensure_accessible()
    await visitor.ensure_fits()
