"""Credentials, services and the bell in a browser."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from app.genotypes.testdata import write_test_files
from tests.browser.conftest import Visit
from tests.support.browsing import PHONE, Visitor
from tests.support.people import PASSWORD
from tests.support.world import World

LIST = "/ui/settings/service-credentials"


async def test_credential_when_added_in_the_dialog_then_tested_replaced_and_deleted(
    visitor: Visitor, world: World
) -> None:
    sandbox = await world.sandbox()
    await world.add_service(sandbox, name="Sandbox one")
    await world.client("dora")
    await visitor.sign_in("dora", PASSWORD)
    page = await visitor.open(LIST)
    await visitor.ensure_accessible()

    await page.get_by_role("link", name="Add a credential").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", name="Add a credential")).to_be_visible()
    await visitor.ensure_accessible()
    await dialog.get_by_label("Token").fill("wrongtokenwrongtoken")
    await dialog.get_by_role("button", name="Test connection").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await expect(dialog.get_by_label("Token")).to_have_value("wrongtokenwrongtoken")

    await dialog.get_by_label("Token").fill(sandbox.token)
    await dialog.get_by_role("button", name="Test connection").click()
    await expect(dialog.get_by_role("status")).to_contain_text("takes it")
    await dialog.get_by_role("button", name="Store and verify").click()
    await expect(dialog.get_by_role("heading", name="The credential is stored")).to_be_visible()
    await expect(dialog.get_by_text("takes it")).to_be_visible()
    await dialog.get_by_role("link", name="Go on").click()
    card = page.locator(".credential")
    await expect(card.get_by_text("Verified", exact=True)).to_be_visible()

    await card.get_by_role("button", name="Test connection").click()
    await expect(card.get_by_role("status")).to_contain_text("just now")
    sandbox.new_token()
    await card.get_by_role("button", name="Test connection").click()
    await expect(card.get_by_text("Rejected", exact=True)).to_be_visible()

    await card.get_by_role("link", name="Replace or change").click()
    await page.get_by_label("Token").fill(sandbox.token)
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".credential").get_by_text("Verified", exact=True)).to_be_visible()
    assert sandbox.token not in await page.content()

    await page.get_by_role("link", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Setup required")).to_be_visible()


async def test_services_and_bell_when_seen_on_phone_and_desktop_then_fit(
    visits: Visit, world: World
) -> None:
    sandbox = await world.sandbox()
    service, panel = await world.add_service(sandbox)
    for viewport in (PHONE, {"width": 1280, "height": 800}):
        async with visits(viewport=viewport) as visitor:
            await visitor.sign_in("alice", PASSWORD)
            for path in (
                "/ui/services",
                f"/ui/services/{service}",
                "/ui/notifications",
                "/ui/files",
                LIST,
            ):
                await visitor.open(path)
                await visitor.ensure_accessible()
                await visitor.ensure_fits()
    assert panel


async def test_bell_when_a_job_moves_then_counts_without_a_reload(
    visitor: Visitor, world: World, tmp_path: Path
) -> None:
    sandbox = await world.sandbox()
    service, panel = await world.add_service(sandbox)
    await visitor.sign_in("alice", PASSWORD)
    page = await visitor.open("/ui/notifications")
    await expect(page.get_by_text("Nothing yet")).to_be_visible()
    await expect(page.locator("body[data-live=on]")).to_be_attached()

    file = (await asyncio.to_thread(write_test_files, tmp_path, None))[0].path
    job = await world.alice.submit(service, panel, file)
    await world.alice.until_end(job["id"], "completed")

    await expect(page.locator(".bell-count")).to_have_text("3")
    await expect(page.get_by_role("button", name="Results ready")).to_be_visible()
    await visitor.ensure_accessible()
    await page.get_by_role("button", name="Results ready").click()
    await page.wait_for_url(f"**/ui/jobs/{job['id']}")

    # Who looks at a job knows what was told of it.
    await expect(page.locator(".bell-count")).to_have_count(0)

    await world.platform.deps.pool.execute("update notifications set is_read = false")
    await visitor.open("/ui/notifications")
    await expect(page.locator(".bell-count")).to_have_text("3")
    await page.get_by_role("button", name="Mark all as read").click()
    await expect(page.locator(".bell-count")).to_have_count(0)
