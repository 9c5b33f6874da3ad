"""A real browser for tests: one Chromium for the session, a fresh profile for each visitor, and what no page may do."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

RULES = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']"
_AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
# Only what is wrong leaves the browser: all that axe looked at is megabytes for each page.
_FIND = """
axe.run(document, {runOnly: %s, preload: %s, resultTypes: ['violations']}).then(told => told.violations
  .filter(item => ['serious', 'critical'].includes(item.impact))
  .map(item => `${item.id}: ${item.help}: ` + item.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')))
"""
DESKTOP = {"width": 1280, "height": 800}
QUIET = "() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, [aria-busy=true]')"
"""Nothing is being fetched or put in its place."""
MAX_STOPS = 120
"""More than a page has places that take the focus."""
PHONE = {"width": 390, "height": 844}
# Without these a browser talks to its maker.
_FLAGS = (
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--no-proxy-server",
)  # fmt: skip
_START_S = 60.0
_END_S = 15.0
# CI's machines, and busy ones, take ten times as long. Nothing is hidden by that: what comes is seen when it comes, so only a
# failure takes longer, and tests that are about promptness name a limit of their own.
_WAIT_MS = 30_000
expect.set_options(timeout=_WAIT_MS / 2)
# Runs a program for as long as somebody holds the other end of the standard input, then ends it and all that it started.
_WITH_US = """
exec 3<&0
"$@" </dev/null 3<&- & it=$!
( cat <&3 >/dev/null; kill -TERM $it; sleep 10; kill -KILL 0 ) 2>/dev/null &
wait $it
kill -KILL 0
"""


def find_chromium() -> str | None:
    """Give the path of Debian's Chromium, or None."""
    return shutil.which("chromium")


@contextmanager
def run_chromium(profile: Path) -> Iterator[str]:
    """Run Chromium; give the address of its debugging port.

    It ends with whoever runs it, also when that is killed: a shell waits for the end of its standard input.
    """
    program = find_chromium()
    assert program is not None
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    profile.mkdir(parents=True, exist_ok=True)
    log = profile / "chromium.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_US, "sh",
             program, *_FLAGS, *sandbox, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:", "HOME": str(profile)},
        )  # fmt: skip
    try:
        told = profile / "DevToolsActivePort"
        until = time.monotonic() + _START_S
        while not (told.is_file() and told.read_text().strip()):
            assert process.poll() is None, f"Chromium ended: {_end_of(log)}"
            assert time.monotonic() < until, f"Chromium does not start: {_end_of(log)}"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{told.read_text().split()[0]}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_END_S)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


@dataclass
class Visitor:
    """Somebody at a browser of their own. Whatever a page did that none may do stands in `faults`."""

    context: BrowserContext
    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of console errors that the test provokes, such as `401`."""

    async def open(self, path: str) -> Page:
        """Go to a page of the platform."""
        await self.page.goto(self.base + path)
        return self.page

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in by the form."""
        await self.open("/ui/sign-in")
        await self.page.get_by_label("User name").fill(username)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url("**/ui/**")

    async def ensure_accessible(self) -> None:
        """Fail for a serious accessibility problem on the page once it is quiet (axe-core, WCAG 2 AA): what is being fetched is pale."""
        await self.page.wait_for_function(QUIET)
        await add_axe(self.page)
        serious = await find_barriers(self.page)
        assert not serious, f"{self.page.url}\n" + "\n".join(serious)

    async def ensure_fits(self) -> None:
        """Fail when the page is wider than the screen."""
        wide = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"

    def watch(self, page: Page) -> None:
        """Note what a page does that none may do."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in self.expected):
            self.faults.append(f"console: {message.text}")

    def _see(self, request: Request) -> None:
        if request.url.startswith(("data:", "blob:", "about:")):
            return
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc:
            self.faults.append(f"another host: {request.url}")


async def press_to(goal: Locator, key: str = "Tab") -> None:
    """Press a key until the goal has the focus, as somebody without a mouse does."""
    await expect(goal).to_be_visible()  # a page that is not drawn yet takes no key
    for _ in range(MAX_STOPS):
        if await goal.evaluate("one => one === document.activeElement"):
            return
        await goal.page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {goal}")


async def add_axe(page: Page) -> None:
    """Bring axe-core to a page: by the debugger and not by the page, whose policy would refuse it."""
    await page.evaluate(_AXE)


async def find_barriers(page: Page, rules: str = RULES, *, preload: bool = True) -> list[str]:
    """Give the serious accessibility problems of the page as it is now, by axe, which was added before."""
    found: list[str] = await page.evaluate(_FIND % (rules, str(preload).lower()))
    return found


@asynccontextmanager
async def connect(endpoint: str) -> AsyncIterator[Browser]:
    """Connect to a running Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(endpoint)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visit(browser: Browser, base: str, **options: Any) -> AsyncIterator[Visitor]:
    """Give a visitor with a fresh profile; fails at the end when a page did what none may do. `options` are the context's."""
    context = await browser.new_context(
        **{"viewport": DESKTOP, "reduced_motion": "reduce", **options}
    )
    context.set_default_timeout(_WAIT_MS)
    page = await context.new_page()
    visitor = Visitor(context, page, base)
    visitor.watch(page)
    context.on("page", visitor.watch)
    try:
        yield visitor
        await asyncio.sleep(0)
        assert not visitor.faults, "\n".join(visitor.faults)
    finally:
        await context.close()
