"""A walk past every page of the route table: where to stop, and what to look at there.

It finds pages by itself: each GET row whose paths the story can fill in, as who may see it. Parts of pages and redirects are left out.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from playwright.async_api import Browser, Page

from app.core.jobs import Stage
from app.routes.pages.table import PAGES
from app.web.endpoint import PATH_PARAM, Access, Endpoint
from tests.guards.conftest import matches
from tests.support.browsing import DESKTOP, QUIET, RULES, Visitor, add_axe, find_barriers, visit
from tests.support.story import TOKEN, Story

NOBODY, ALICE, ADMIN = "", "alice", "admin"
GONE = frozenset({"/ui/setup/{token}"})
"""What is no longer there once there is an administrator."""
ERRORS = (
    "/ui/sign-in", "/ui/register", "/ui/settings/profile", "/ui/settings/password", "/ui/settings/service-credentials/new",
    "/ui/jobs/new", "/ui/admin/users/new", "/ui/admin/services/new",
)  # fmt: skip
"""Pages whose form is also sent empty."""
COLOURS = "{type: 'rule', values: ['color-contrast']}"
FEW_JOBS = (
    "done",
    "failed",
    "cancelled",
    Stage.REMOTE_RUNNING,
    Stage.CREDENTIAL_NEEDED,
    Stage.DECISION_NEEDED,
)
"""Enough to see how jobs look; the other stages differ in words."""
SCHEMES: dict[Literal["light", "dark"], str] = {"light": RULES, "dark": COLOURS}
"""What is looked at in each: in the dark only colours differ."""
WIDTHS = {"wide": 1280, "phone": 390}


@dataclass(frozen=True, slots=True)
class Stop:
    """A page to look at. `act` says what is done there first."""

    name: str
    path: str
    who: str
    act: str = ""
    status: int = 200


Values = dict[str, object]
Variants = dict[str, Values]


def _one(**values: object) -> Variants:
    return {"": values}


def _each(ids: dict[str, Any]) -> Variants:
    return {name: {"id": value} for name, value in ids.items()}


FILLED: tuple[tuple[str, Callable[[Story], Variants]], ...] = (
    (r"/ui/jobs/\{id\}", lambda story: _each(story.jobs)),
    (r"/ui/jobs/\{id\}/cancel", lambda story: _one(id=story.jobs[Stage.REMOTE_RUNNING])),
    (r"/ui/jobs/\{id\}/(adopt|resubmit)", lambda story: _one(id=story.jobs[Stage.DECISION_NEEDED])),
    (r"/ui/jobs/\{id\}/retry", lambda story: _one(id=story.jobs["failed"])),
    (r"/ui/jobs/\{id\}.*", lambda story: _one(id=story.jobs["done"], file_id=story.report_id)),
    (r"/ui/batches/\{id\}/cancel", lambda story: _one(id=story.batches["open"])),
    (r"/ui/batches/\{id\}/compare", lambda story: _one(id=story.batches["done"])),
    (r"/ui/batches/\{id\}.*", lambda story: _each(story.batches)),
    (r"/ui/files/.*", lambda story: _one(id=story.file_id)),
    (r"/ui/notifications/.*", lambda story: _one(id=story.notification_id)),
    (r"/ui/settings/service-credentials/\{.*", lambda story: _one(id=story.credential_id)),
    (r"/ui/(admin/)?services/\{id\}", lambda story: _each(story.services)),
    (r"/ui/admin/users/.*", lambda story: _one(id=story.users["bongani.dube"], change="disable")),
    (r"/ui/password-reset/.*", lambda _: _one(token=f"{TOKEN}-password_reset")),
    (r"/ui/confirm-email/.*", lambda _: _one(token=f"{TOKEN}-email_confirm")),
    (r"/ui/setup/.*", lambda _: _one(token=f"{TOKEN}-setup")),
    (r".*", lambda story: _one(id=story.services["near"], panel_id=story.panel_id)),
)
"""What stands in the paths of pages, by the first pattern that fits; a page may be looked at with several things."""


def _fill(story: Story, item: Endpoint) -> dict[str, str]:
    """Give the paths of a page by a short name of the variant."""
    variants = next(give(story) for shape, give in FILLED if re.fullmatch(shape, item.plain_path))
    filled = {}
    for name, values in variants.items():

        def value(match: re.Match[str], values: Values = values) -> str:
            return str(values.get(match[1], values.get("id", "")))

        filled[name] = PATH_PARAM.sub(value, item.path)
    return filled


async def find_stops(story: Story, *, every_job: bool = True) -> list[Stop]:
    """Find all pages, each asked once over plain HTTP. Fails for a page of the table that is not there.

    Without `every_job` the page of a job is looked at for some of its stages alone.
    """
    stops: list[Stop] = []
    tokens = {ALICE: story.world.alice.token, ADMIN: story.world.admin.token}
    queries = await _queries(story)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for item in PAGES:
            if item.method != "GET" or not item.path.startswith("/ui/"):
                continue
            for variant, filled in _fill(story, item).items():
                if not every_job and variant in story.jobs and variant not in FEW_JOBS:
                    continue
                assert matches(item, filled), f"no path for {item.plain_path}: {filled}"
                path = filled + queries.get(item.plain_path, "")
                for who in _who(item):
                    headers = {"Cookie": f"fip_session={tokens[who]}"} if who else {}
                    async with session.get(
                        story.world.base + path, headers=headers, allow_redirects=False
                    ) as answer:
                        text = await answer.text()
                    if 300 <= answer.status < 400:
                        continue
                    is_page = "<!doctype html>" in text[:200]
                    if item.plain_path in GONE:
                        assert answer.status in (200, 404), f"{path}: {answer.status}"
                    elif is_page:
                        assert answer.status == 200, f"{path} as {who or 'nobody'}: {answer.status}"
                    else:  # a part; what it wants to know stands with the page that asks for it
                        assert answer.status < 500, f"{path} as {who or 'nobody'}: {answer.status}"
                    if is_page:
                        stops.append(
                            Stop(_name(item, variant, who), path, who, status=answer.status)
                        )
    return [*stops, *_moments(story, stops)]


def _who(item: Endpoint) -> tuple[str, ...]:
    if item.access is Access.ADMIN:
        return (ADMIN,)
    if item.access is Access.USER:
        return (ALICE,)
    if item.path == "/ui/" or item.path.startswith("/ui/services"):
        return (NOBODY, ALICE)
    return (NOBODY,)


def _name(item: Endpoint, variant: str, who: str) -> str:
    name = (
        re.sub(r"[{}]", "", item.plain_path.removeprefix("/ui/").strip("/")).replace("/", "-")
        or "start"
    )
    return "-".join(part for part in (name, variant, "" if who else "stranger") if part)


async def _queries(story: Story) -> dict[str, str]:
    """What pages are asked with where the plain address shows too little."""
    pair = await story.job_ids("done")
    return {
        "/ui/compare": "?" + "&".join(f"job={job}" for job in pair),
        "/ui/settings/service-credentials/new": f"?service={story.services['down']}",
        "/ui/jobs/new/service": f"?id={story.services['near']}",
    }


def _moments(story: Story, stops: Iterable[Stop]) -> list[Stop]:
    """Pages after something was done on them."""
    known = {stop.path.partition("?")[0]: stop for stop in stops}
    job = f"/ui/jobs/{story.jobs['done']}"
    moments = [
        Stop("menu", "/ui/", ALICE, "menu"),
        Stop("filter-empty", "/ui/jobs?q=nothing-is-called-so", ALICE),
    ]
    if "/ui/jobs/new" in known:
        chosen = "".join(f"&service={story.services[name]}" for name in ("near", "far", "down"))
        moments.append(Stop("jobs-new-chosen", f"/ui/jobs/new?build=hg19{chosen}", ALICE))
    moments += [
        Stop(f"{known[path].name}-error", known[path].path, known[path].who, "send-empty")
        for path in ERRORS
        if path in known
    ]
    if job in known:
        moments.append(Stop("job-dialog", job, ALICE, "dialog"))
    moments.append(
        Stop("not-found", "/ui/jobs/00000000-0000-4000-8000-000000000000", ALICE, status=404)
    )
    return [item for item in moments if item.path.partition("?")[0] in known or item.status == 404]


@asynccontextmanager
async def walker(
    browser: Browser, story: Story, who: str, **options: Any
) -> AsyncIterator[Visitor]:
    """Give somebody at a browser who is signed in already."""
    async with visit(browser, story.world.base, **{"viewport": DESKTOP, **options}) as visitor:
        tokens = {ALICE: story.world.alice.token, ADMIN: story.world.admin.token}
        if who:
            await visitor.context.add_cookies(
                [{"name": "fip_session", "value": tokens[who], "url": story.world.base}]
            )
        yield visitor


async def arrive(visitor: Visitor, stop: Stop) -> Page:
    """Go to a page, do what is to be done there, and wait until it is quiet."""
    page = visitor.page
    # What the browser itself says of a page that is meant to be refused.
    visitor.expected[:] = (
        ["Failed to load resource"] if stop.status >= 400 or stop.act == "send-empty" else []
    )
    await page.goto(visitor.base + stop.path)
    if stop.act == "menu":
        await page.locator("details.menu > summary").click()
    elif stop.act == "dialog":
        await page.locator("a[data-dialog]:visible").first.click()
        await page.locator("dialog[open]").wait_for()
    elif stop.act == "send-empty":
        form = page.locator("main form[method=post]").first
        await form.evaluate(SEND_EMPTY)
        await page.wait_for_timeout(700)  # the answer takes the page's place, or a script says it
        await page.wait_for_load_state("load")
    await _settle(page)
    return page


async def _settle(page: Page) -> None:
    """Wait until htmx has asked for what the page wants at once, and fonts are there."""
    await page.evaluate(LOAD_ALL)
    await page.wait_for_function(QUIET, timeout=5000)


async def faults_of(
    page: Page, *, widths: Iterable[int] = WIDTHS.values(), each_in_both: bool = True
) -> list[str]:
    """Look at a page at each width, light and dark; give what is wrong with it.

    Without `each_in_both` the first width is looked at in the light and the others in the dark, with all rules each.
    """
    found = []
    await add_axe(page)
    for place, width in enumerate(widths):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.evaluate(DRAWN)
        if wide := await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        ):
            found.append(f"{wide} px too wide at {width}: {await page.evaluate(CULPRIT)}")
        for scheme, rules in SCHEMES.items():
            if not each_in_both:
                if (scheme == "dark") != bool(place):
                    continue
                rules = SCHEMES["light"]  # noqa: PLW2901 - nothing else looks at this width
            await page.emulate_media(color_scheme=scheme)
            await page.evaluate(DRAWN)
            barriers = await find_barriers(page, rules, preload=False)
            found += [f"{width} {scheme} {fault}" for fault in barriers]
    await page.emulate_media(color_scheme="light")
    return found


DRAWN = "() => new Promise(done => { requestAnimationFrame(() => requestAnimationFrame(done)); setTimeout(done, 500); })"
"""Media queries count from the next frame on."""
LOAD_ALL = (
    "async () => { await document.fonts.ready; const lazy = [...document.querySelectorAll('[loading=lazy]')];"
    " lazy.forEach(item => { item.loading = 'eager'; });"
    " await Promise.all(lazy.map(item => new Promise(done => { item.onload = done; setTimeout(done, 1000); }))); }"
)
SEND_EMPTY = (
    "form => { form.querySelectorAll('[required]').forEach(field => { field.required = false; });"
    " form.noValidate = true; setTimeout(() => form.requestSubmit(), 0); }"
)
CULPRIT = (
    "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
    ".slice(-3).map(e => e.outerHTML.slice(0, 120))"
)
