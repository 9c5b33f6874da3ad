"""An account's first days in a browser."""

import asyncio
import email
import re
from email.policy import default

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.browsing import PHONE, Visitor
from tests.support.people import PASSWORD
from tests.support.world import World

NEW_PASSWORD = "another horse at the well"
_CONFIRM = re.compile(r"/ui/confirm-email/\S+")


async def _mailed_path(world: World) -> str:
    """Give the path of the link that was mailed to confirm an address, once it is there."""
    outbox = world.platform.deps.settings.data_dir / "outbox"
    async with asyncio.timeout(10):
        while True:
            for path in sorted(outbox.glob("*.eml")):
                mail = email.message_from_bytes(path.read_bytes(), policy=default)
                body = mail.get_body(("plain",))
                if body is not None and (found := _CONFIRM.search(body.get_content())):
                    return found[0]
            await asyncio.sleep(0.05)


async def _ensure_good(visitor: Visitor) -> None:
    for size in (PHONE, {"width": 1280, "height": 800}):
        await visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
        await visitor.ensure_fits()
        await visitor.ensure_accessible()


async def test_account_when_made_confirmed_and_given_a_new_password_then_other_browsers_are_out(
    visitor: Visitor, visits: Visit, world: World
) -> None:
    page = await visitor.open("/ui/register")
    await _ensure_good(visitor)
    await page.get_by_label("User name").fill("dora")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("E-mail address").fill("dora@example.org")
    await page.get_by_role("button", name="Create the account").click()
    await expect(page.get_by_label("Account menu of dora")).to_be_visible()

    await visitor.open("/ui/settings/profile")
    await expect(page.get_by_text("dora@example.org waits for its confirmation")).to_be_visible()
    await visitor.open(await _mailed_path(world))
    await _ensure_good(visitor)
    await page.get_by_role("button", name="Yes, it is mine").click()
    await visitor.open("/ui/settings/profile")
    await expect(page.get_by_text("waits for its confirmation")).to_have_count(0)
    await expect(page.get_by_label("E-mail address")).to_have_value("dora@example.org")
    await page.get_by_label("Institution").fill("SBIMB")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").first).to_be_visible()
    await _ensure_good(visitor)

    async with visits() as other:
        await other.sign_in("dora", PASSWORD)
        await visitor.open("/ui/settings/password")
        await _ensure_good(visitor)
        await page.get_by_label("Current password").fill(PASSWORD)
        await page.get_by_label("New password").fill(NEW_PASSWORD)
        await page.get_by_role("button", name="Change the password").click()
        await expect(page.get_by_label("Account menu of dora")).to_be_visible()

        await other.open("/ui/settings/profile")
        await expect(other.page).to_have_url(re.compile(r"/ui/sign-in\?next="))
    await visitor.open("/ui/settings/profile")
    await expect(page.get_by_label("Institution")).to_have_value("SBIMB")
