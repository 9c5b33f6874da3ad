"""A new job at a browser: looked at before it leaves, sent with its progress shown, made as chosen."""

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Visit
from tests.genotypes.vcf_files import bgzf, plain_gzip
from tests.support.browsing import PHONE, Visitor
from tests.support.new_job import (
    BATCH,
    GOOD,
    JOB,
    begin,
    choose_panel,
    files_of,
    jobs_of_alice,
    text_of,
    upload,
)
from tests.support.world import World


async def test_job_when_submitted_then_progress_is_shown_and_it_is_made_as_chosen(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await visitor.ensure_accessible()

    big = upload("cohort_chr20.vcf.gz", bgzf(text_of(records=60_000)))
    await files_of(page).set_input_files([big])
    item = page.locator(".picked-file")
    await expect(item).to_contain_text("25 samples")
    await expect(item).to_contain_text("chromosome 20")
    await expect(page.get_by_label("Genome build")).to_have_value("hg19")
    await choose_panel(page, service_id, panel_id)
    await page.get_by_label("rsq Filter").select_option("0.3")
    await page.get_by_role("textbox", name="Name").fill("My cohort")
    await expect(page.locator("#sending-files")).to_contain_text("cohort_chr20.vcf.gz")
    await expect(page.locator("#sending")).to_contain_text("not encrypted")
    await visitor.ensure_accessible()
    await visitor.ensure_fits()

    slow = await visitor.context.new_cdp_session(page)
    await slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": len(big["buffer"]) / 2},
    )  # fmt: skip
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator("#phase")).to_have_text("Sending your files…")
    await expect(page.locator("#pace")).to_contain_text(re.compile(r"of .*B · .*/s"))
    await visitor.ensure_accessible()
    leaving = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert await page.evaluate(leaving) is False
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("button", name="Submit")).to_be_focused()
    assert await page.evaluate(leaving) is True
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator("#phase")).to_have_text("Sending your files…")
    await page.wait_for_url(JOB, timeout=20_000)

    (job,) = await jobs_of_alice(world)
    assert job["id"] == page.url.rpartition("/")[2]
    assert job["name"] == "My cohort"
    assert (job["build"], job["phasing"], job["population"]) == ("hg19", True, "mixed")
    assert job["options"]["r2Filter"] == "0.3"


async def test_files_when_they_would_be_refused_then_it_is_told_before_any_upload(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    whole = bgzf(text_of())
    await files_of(page).set_input_files(
        [
            upload("cut.vcf.gz", whole[:-28]),
            upload("gzip.vcf.gz", plain_gzip(text_of())),
            upload("notes.txt.gz", b"hello"),
        ]
    )
    for name, words in {
        "cut.vcf.gz": "cut off",
        "gzip.vcf.gz": "gzip, not bgzip",
        "notes.txt.gz": "not a bgzipped VCF",
    }.items():
        await expect(page.locator(".picked-file", has_text=name)).to_contain_text(words)
    await expect(page.locator("#set-findings")).to_contain_text("Chromosome 20 is in 2 files")
    await choose_panel(page, service_id, panel_id)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    await visitor.ensure_accessible()
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await visitor.ensure_fits()
    await visitor.ensure_accessible()

    for name in ("cut.vcf.gz", "gzip.vcf.gz", "notes.txt.gz"):
        await page.get_by_role("button", name=f"Remove {name}").click()
    dropped = await page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(bytes)], "dropped.vcf.gz"));
            return data;
        }""",
        list(GOOD["buffer"]),
    )
    await page.locator("#drop").dispatch_event("drop", {"dataTransfer": dropped})
    await expect(page.locator(".picked-file")).to_contain_text("dropped.vcf.gz")
    await expect(page.get_by_label("Genome build")).to_have_value("hg19")
    await page.get_by_label("Genome build").select_option("hg38")
    await expect(page.locator("#set-findings")).to_contain_text("hg38 files must call it chr20")
    await expect(page.locator("#set-findings")).to_contain_text("looks like hg19")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("would be refused")
    assert not await jobs_of_alice(world)


async def test_form_when_the_platform_refuses_then_it_says_why_at_the_field_and_keeps_all(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("at least one file")

    lines = text_of().splitlines(keepends=True)
    unsorted = bgzf("".join([*lines[:-2], lines[-1], lines[-2]]))
    await files_of(page).set_input_files([upload("unsorted.vcf.gz", unsorted)])
    await page.locator(f"#service-check-{service_id}").check()
    visitor.expected.append("400")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator(f"#panel-{service_id}")).to_contain_text("Choose a reference panel")

    await choose_panel(page, service_id, panel_id)
    await page.get_by_label("Notes").fill("mine")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("not sorted")
    await expect(page.locator("[data-error-of=input_file]")).to_contain_text("not sorted")
    await expect(page.locator(".picked-file")).to_contain_text("unsorted.vcf.gz")
    await expect(page.get_by_label("Notes")).to_have_value("mine")
    await visitor.ensure_accessible()
    await page.reload()
    await expect(page.locator(f"#panel-{service_id}-{panel_id}")).to_be_checked()
    await expect(page.get_by_label("Notes")).to_have_value("mine")
    assert not await jobs_of_alice(world)


async def test_form_when_a_service_is_drawn_after_the_refusal_then_its_field_still_says_why(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    refused = asyncio.Event()

    async def late(route: Route) -> None:
        await refused.wait()
        await route.continue_()

    await page.route("**/ui/jobs/new/service?*", late)
    await page.locator(f"#service-check-{service_id}").check()
    visitor.expected.append("400")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("reference panel")
    async with page.expect_response("**/ui/jobs/new/service?*"):
        refused.set()

    panels = page.locator(f"#panel-{service_id}")
    await expect(page.locator(f"#service-{service_id}")).to_have_class(re.compile("is-chosen"))
    await expect(panels).to_contain_text("Choose a reference panel")
    await choose_panel(page, service_id, panel_id)
    await expect(page.locator(f"#service-{service_id}.htmx-request")).to_have_count(0)
    await expect(panels).not_to_contain_text("Choose a reference panel")


async def test_credential_when_missing_then_it_is_set_up_and_the_form_goes_on(
    visitor: Visitor, world: World
) -> None:
    sandbox = await world.sandbox()
    service_id, panel_id = await world.add_service(sandbox)
    held = await world.alice.call("GET", "/users/me/service-credentials")
    await world.alice.call("DELETE", f"/users/me/service-credentials/{held[0]['id']}")
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await choose_panel(page, service_id, panel_id)
    card = page.locator(f"#service-{service_id}")
    setup = card.get_by_role("link", name="Add a credential")
    await expect(setup).to_have_attribute("data-dialog", "")
    href = await setup.get_attribute("href")
    assert href is not None
    assert href.startswith(f"/ui/settings/service-credentials/new?service={service_id}&next=")
    await visitor.ensure_accessible()
    visitor.expected.append("400")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("API credentials")

    await page.get_by_label("Notes").fill("mine")
    await setup.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Token").fill(sandbox.token)
    await visitor.ensure_accessible()
    await dialog.get_by_role("button", name="Store and verify").click()
    await expect(dialog.get_by_text("takes it")).to_be_visible()
    await dialog.get_by_role("link", name="Go on").click()
    await expect(dialog).not_to_be_visible()
    await expect(page.locator(".picked-file")).to_contain_text("chr20.vcf.gz")
    await expect(page.get_by_label("Notes")).to_have_value("mine")
    await expect(card).not_to_contain_text("Setup required")
    await expect(card.locator(f"#panel-{service_id}-{panel_id}")).to_be_checked()
    await page.get_by_role("button", name="Submit").click()
    await page.wait_for_url(JOB)


async def test_batch_when_two_services_are_chosen_by_keyboard_alone_then_both_get_a_job(
    visitor: Visitor, world: World
) -> None:
    places = [await world.add_service(await world.sandbox()) for _ in range(2)]
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await expect(page.get_by_label("Genome build")).to_have_value("hg19")
    for service_id, panel_id in places:
        await page.locator(f"#service-check-{service_id}").focus()
        await page.keyboard.press("Space")
        panel = page.locator(f"#panel-{service_id}-{panel_id}")
        await expect(panel).to_be_visible()
        await expect(page.locator(f"#service-check-{service_id}")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(panel).to_be_focused()
        await page.keyboard.press("Space")
        await expect(page.locator(f"#f-population-{service_id}-{panel_id}")).to_be_visible()
    await page.locator("#f-name").focus()
    await page.keyboard.type("Two panels")
    await page.keyboard.press("Enter")
    await page.wait_for_url(BATCH)
    batch = await world.alice.call("GET", f"/batches/{page.url.rpartition('/')[2]}", expect=200)
    assert [job["service_id"] for job in batch["jobs"]] == [place[0] for place in places]
    assert batch["name"] == "Two panels"


async def test_panel_when_ticked_before_htmx_knows_it_then_counts(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await expect(page.get_by_label("Genome build")).to_have_value("hg19")
    # A part is there at once, and listened to from when it has settled: as on a machine that is busy.
    await page.evaluate("htmx.config.defaultSettleDelay = 1000")
    await page.locator(f"#service-check-{service_id}").check()
    await page.locator(f"#panel-{service_id}-{panel_id}").check()
    await expect(page.locator(f"#f-population-{service_id}-{panel_id}")).to_be_visible()
    await expect(page.locator("#sending")).not_to_contain_text("still to be chosen")


async def test_batch_when_two_panels_of_a_service_are_chosen_then_each_gets_a_job(
    visitor: Visitor, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    panels = await world.alice.call("GET", f"/services/{service_id}/reference-panels")
    other = panels[1]
    page = await begin(visitor)
    await files_of(page).set_input_files([GOOD])
    await page.locator(f"#service-check-{service_id}").check()
    await expect(page.locator(f"#panel-{service_id}")).to_be_visible()

    async def answer_late(route: Route) -> None:
        await asyncio.sleep(0.3)
        await route.continue_()

    # The answer to the first comes after the second was ticked, and must not untick it.
    await page.route("**/new/service?*", answer_late)
    await page.locator(f"#panel-{service_id}-{panel_id}").check()
    await page.locator(f"#panel-{service_id}-{other['id']}").check()
    await page.get_by_label(f"Population for {other['name']}").select_option("eur")
    await expect(page.locator("#sending")).to_contain_text(other["name"])
    await page.get_by_role("button", name="Submit 2 jobs").click()
    await page.wait_for_url(BATCH)
    jobs = {job["reference_panel_id"]: job for job in await jobs_of_alice(world)}
    assert {key: job["population"] for key, job in jobs.items()} == {
        panel_id: "mixed",
        other["id"]: "eur",
    }


async def test_form_when_there_are_no_scripts_then_it_makes_the_same_job(
    visits: Visit, world: World
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    async with visits(java_script_enabled=False) as visitor:
        page = await begin(visitor)
        await page.get_by_role("textbox", name="Name").fill("Plain form")
        await page.locator(f"#service-check-{service_id}").check()
        await page.get_by_role("button", name="Show the choices").click()
        await expect(page.get_by_role("textbox", name="Name")).to_have_value("Plain form")
        await page.locator(f"#panel-{service_id}-{panel_id}").check()
        await page.get_by_label("Genome build").select_option("hg19")
        visitor.expected.append("400")
        await files_of(page).set_input_files([upload("gz.vcf.gz", plain_gzip(text_of()))])
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("alert")).to_contain_text("gzip, not bgzip")
        await expect(page.locator(f"#panel-{service_id}-{panel_id}")).to_be_checked()
        await files_of(page).set_input_files([GOOD])
        await page.get_by_role("button", name="Submit").click()
        await page.wait_for_url(JOB)
    (job,) = await jobs_of_alice(world)
    assert job["name"] == "Plain form"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_when_shown_on_a_phone_then_fits_and_is_accessible(
    visits: Visit, world: World, scheme: str
) -> None:
    service_id, panel_id = await world.add_service(await world.sandbox())
    async with visits(viewport=PHONE, color_scheme=scheme) as visitor:
        page = await begin(
            visitor, f"/ui/jobs/new?service={service_id}&panel-{service_id}={panel_id}"
        )
        await files_of(page).set_input_files([GOOD])
        await expect(page.locator(".picked-file")).to_contain_text("bgzip")
        await visitor.ensure_fits()
        await visitor.ensure_accessible()


async def test_file_when_chosen_before_the_script_is_there_then_it_is_looked_at(
    visitor: Visitor, world: World
) -> None:
    page = await begin(visitor, "/ui/jobs")

    async def late(route: Route) -> None:
        await asyncio.sleep(1)
        await route.continue_()

    await page.route("**/js/new-job.js", late)
    await page.goto(f"{visitor.base}/ui/jobs/new", wait_until="commit")
    await page.locator("#f-input_file").set_input_files([GOOD])
    await expect(page.locator(".picked-file")).to_contain_text("25 samples")
    assert await page.locator("#f-input_file").input_value() == ""
