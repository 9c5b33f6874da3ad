"""Signing in and out in a browser."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.browsing import PHONE, Visitor
from tests.support.people import PASSWORD
from tests.support.world import World


async def test_sign_in_when_a_page_was_wanted_then_leads_back_to_it(
    visitor: Visitor, world: World
) -> None:
    page = await visitor.open("/ui/jobs?status=failed")
    await expect(page).to_have_url(f"{world.base}/ui/sign-in?next=%2Fui%2Fjobs%3Fstatus%3Dfailed")
    await visitor.ensure_accessible()

    await page.get_by_label("User name").fill("alice")
    await page.get_by_label("Password").fill("wrong")
    visitor.expected.append("401")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("wrong")
    await expect(page.get_by_label("User name")).to_have_value("alice")
    await expect(page.get_by_label("Password")).to_have_value("")

    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{world.base}/ui/jobs?status=failed")


async def test_sign_out_when_pressed_then_no_page_is_shown_any_more(
    visitor: Visitor, world: World
) -> None:
    await visitor.sign_in("alice", PASSWORD)
    page = visitor.page
    await page.get_by_label("Account menu of alice").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status").first).to_contain_text("signed out")
    await expect(page).to_have_url(f"{world.base}/ui/")

    await visitor.open("/ui/notifications")
    await expect(page).to_have_url(f"{world.base}/ui/sign-in?next=%2Fui%2Fnotifications")


async def test_frame_when_shown_on_a_phone_then_fits_and_is_accessible(visits: Visit) -> None:
    for scheme in ("light", "dark"):
        async with visits(viewport=PHONE, color_scheme=scheme) as visitor:
            await visitor.sign_in("alice", PASSWORD)
            await visitor.ensure_fits()
            await visitor.ensure_accessible()
