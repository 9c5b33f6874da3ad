"""The administration of services in a browser: find out, check, save, sync, set, delete."""

import re
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.conftest import Visit
from tests.support.browsing import PHONE, Visitor
from tests.support.people import PASSWORD
from tests.support.world import Sandbox, World

LIST = "/ui/admin/services"


async def find(visitor: Visitor, base: str, token: str = "") -> Page:
    page = await visitor.open(f"{LIST}/new")
    await page.get_by_label("Address of the service").fill(base)
    await page.get_by_label("Token", exact=False).first.fill(token)
    await page.get_by_label("Allow plain http").check()
    await page.get_by_role("button", name="Find out").click()
    return page


async def services(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await world.admin.call("GET", "/services")
    return found


async def test_service_when_found_checked_and_saved_then_it_can_be_used_and_deleted(
    world: World, visitor: Visitor
) -> None:
    sandbox = await world.sandbox()
    await visitor.sign_in("admin", PASSWORD)
    page = await find(visitor, sandbox.base + "/index.html", sandbox.token)
    await expect(page.get_by_role("heading", name="What was found")).to_be_visible()
    await visitor.ensure_accessible()
    await visitor.ensure_fits()

    if await page.locator('input[name="api_type"]').first.get_attribute("value") != "michigan":
        await page.get_by_role("button", name="Add it as Michigan").click()
    await page.get_by_label("Name", exact=True).fill("Our sandbox")
    await page.get_by_label("Whose it is").select_option("shared")
    await page.locator("#f-api_token").fill(sandbox.token)
    await page.get_by_role("button", name="Check").click()
    trial = page.locator("#trial")
    await expect(trial).to_contain_text("The service answers")
    await expect(trial).to_contain_text("Panels that it lists")
    await visitor.ensure_accessible()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Our sandbox", level=1)).to_be_visible()

    await page.get_by_role("button", name="Sync now").click()
    await expect(page.get_by_text("The panels were read")).to_be_visible()
    await visitor.ensure_accessible()
    await visitor.ensure_fits()
    service = (await services(world))[0]
    assert service["name"] == "Our sandbox"
    panels = await world.alice.call("GET", f"/services/{service['id']}/reference-panels")
    assert panels

    await visitor.open(f"{LIST}/{service['id']}")
    await page.get_by_label("Message to users").fill("Back on Monday")
    await page.get_by_role("button", name="Begin a maintenance").click()
    await expect(page.get_by_role("button", name="End the maintenance")).to_be_visible()
    assert (await services(world))[0]["maintenance_message"] == "Back on Monday"
    await page.get_by_role("button", name="End the maintenance").click()
    await expect(page.get_by_role("button", name="Begin a maintenance")).to_be_visible()

    await page.get_by_label("City").fill("Cape Town")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert (await services(world))[0]["city"] == "Cape Town"

    await page.get_by_role("link", name="Delete the service").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("This cannot be undone")
    await dialog.get_by_role("button", name="Delete").click()
    await page.wait_for_url(re.compile(rf"{LIST}\?done="))
    assert await services(world) == []


async def test_wes_service_when_added_by_its_form_then_its_configuration_is_kept(
    world: World, visitor: Visitor
) -> None:
    sandbox = await world.sandbox(wes_auth=False)
    await visitor.sign_in("admin", PASSWORD)
    page = await find(visitor, f"{sandbox.base}/ga4gh/wes/v1")
    await expect(page.get_by_role("heading", name="What was found")).to_be_visible()
    await _as_wes(page, sandbox)
    await page.get_by_label("Name", exact=True).first.fill("WES")
    workflow = page.locator("[name='api_config.workflow.url']")
    if not await workflow.is_visible():
        await page.get_by_text("Workflow", exact=False).locator("xpath=self::summary").click()
    await workflow.fill("main.nf")
    group = page.get_by_role("group", name="Reference panels")
    for number, key in enumerate(("mine", "other")):
        rows = group.locator("[data-row]")
        before = await rows.count()
        await group.get_by_text("Add one").last.click()
        await expect(rows).to_have_count(before + 1)
        row = rows.nth(before - 1)
        await row.get_by_label("Key").first.fill(key)
        await row.get_by_label("Value").first.fill(f"h3a-{number}")
        await row.get_by_label("Builds").fill("hg38")
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator("#trial")).to_contain_text("The service answers")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="WES", level=1)).to_be_visible()

    service = (await services(world))[0]
    assert service["api_type"] == "ga4gh_wes"
    assert service["api_config"]["workflow"]["url"] == "main.nf"
    panels = service["api_config"]["panels"]
    assert panels["mine"] == {"value": "h3a-0", "builds": ["hg38"]}
    assert panels["other"] == {"value": "h3a-1", "builds": ["hg38"]}
    await page.get_by_role("button", name="Sync now").click()
    await expect(page.get_by_text("The panels were read")).to_be_visible()
    await expect(page.locator("#panels")).to_contain_text("mine")
    await visitor.ensure_accessible()


async def _as_wes(page: Page, sandbox: Sandbox) -> None:
    if await page.locator('input[name="api_type"]').first.get_attribute("value") != "ga4gh_wes":
        await page.get_by_role("button", name="Add it as GA4GH WES").click()
        await expect(page.locator('input[name="api_type"]').first).to_have_value("ga4gh_wes")


async def test_address_when_nothing_answers_then_it_is_explained_at_a_phone_too(
    world: World, visits: Visit
) -> None:
    sandbox = await world.sandbox()
    service_id, _ = await world.add_service(sandbox)
    async with visits(viewport=PHONE) as visitor:
        visitor.expected += ["400", "422", "503"]
        await visitor.sign_in("admin", PASSWORD)
        page = await find(visitor, "http://127.0.0.1:9")
        await expect(page.get_by_role("alert")).to_contain_text("Nothing could be found out")
        await visitor.ensure_accessible()
        for path in ("/ui/admin/", LIST, f"{LIST}/new?api_type=ga4gh_wes", f"{LIST}/{service_id}", f"{LIST}/{service_id}/panels/new", f"{LIST}/{service_id}/delete"):  # fmt: skip
            await visitor.open(path)
            await visitor.ensure_fits()
            await visitor.ensure_accessible()
