"""What every page does by itself: it tells when a sign-in has ended, and loses nothing that was typed."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.browsing import Visitor
from tests.support.people import PASSWORD
from tests.support.world import World


async def end_sign_ins(world: World) -> None:
    """End every sign-in of alice's, as a new password elsewhere does."""
    await world.platform.deps.pool.execute(
        "update users set token_version = token_version + 1 where username = 'alice'"
    )


async def test_sign_in_when_it_ends_under_a_page_then_says_so_and_the_page_stays(
    visitor: Visitor, world: World
) -> None:
    world.platform.events.recheck_s = 0.1
    world.platform.events.heartbeat_s = 0.2
    await visitor.sign_in("alice", PASSWORD)
    page = visitor.page
    await page.wait_for_selector("body[data-live=on]")
    visitor.expected.append("401")

    await end_sign_ins(world)
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Your sign-in has ended", timeout=15_000)
    await visitor.ensure_accessible()

    async with visitor.context.expect_page() as opened:
        await dialog.get_by_role("link", name="Sign in").click()
    other = await opened.value
    await other.get_by_label("User name").fill("alice")
    await other.get_by_label("Password").fill(PASSWORD)
    await other.get_by_role("button", name="Sign in").click()
    await other.wait_for_url("**/ui/")
    await other.close()

    await page.evaluate("window.dispatchEvent(new Event('focus'))")
    await expect(dialog).not_to_be_visible()
    await page.wait_for_selector("body[data-live=on]")


async def test_pages_when_signed_out_in_another_tab_then_no_tab_goes_on(
    visits: Visit, world: World
) -> None:
    world.platform.events.recheck_s = 0.1
    world.platform.events.heartbeat_s = 0.2
    async with visits() as visitor:
        visitor.expected.append("401")
        await visitor.sign_in("alice", PASSWORD)
        other = await visitor.context.new_page()
        await other.goto(f"{world.base}/ui/")
        await other.get_by_label("Account menu of alice").click()
        await other.get_by_role("button", name="Sign out").click()
        await expect(other.get_by_role("status").first).to_contain_text("signed out")

        await visitor.page.bring_to_front()
        await expect(visitor.page.get_by_role("dialog")).to_contain_text(
            "sign-in has ended", timeout=15_000
        )
