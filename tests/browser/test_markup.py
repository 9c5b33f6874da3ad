"""Markup in everything that people type and services send, on every page, in a real browser: nothing of it runs, loads or leads anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Dialog, Page

from app.genotypes.testdata import write_test_files
from app.settings import Settings
from tests.browser.conftest import free_port
from tests.support.story import SETTINGS, Story, tell
from tests.support.walk import Stop, arrive, find_stops, walker
from tests.support.world import open_world

FREE: dict[str, tuple[str, ...]] = {
    "users": ("full_name", "institution", "country", "pending_email"),
    "services": ("name", "description", "location", "city", "institution", "country", "health_message", "maintenance_message"),
    "service_health": ("message",),
    "reference_panels": ("name", "version"),
    "user_service_credentials": ("label", "account_name"),
    "files": ("name",),
    "imputation_jobs": (
        "name", "description", "hold_reason", "panel_key", "panel_name", "population", "error_message", "error_action",
        "external_job_id", "remote_state", "remote_step", "phasing_engine",
    ),
    "job_status_updates": ("message",),
    "job_outputs": ("last_error",),
    "job_messages": ("step", "text"),
    "notifications": ("title", "message"),
    "batches": ("name", "description"),
}  # fmt: skip
"""Columns of free text: whoever writes them, and whatever their checks let through today."""
TRACES = (
    "[onerror], [onload], [onclick], [onfocus], [onmouseover], a[href^='javascript' i], form[action^='javascript' i],"
    " [href*='/taken'], [src*='/taken'], [action*='/taken'], [hx-get*='/taken'], [data-trace], base, main script:not([src]):not([type='application/json']),"
    " meta[http-equiv='refresh' i], iframe[srcdoc], main > style"
)
"""What would be on a page if any of it were markup there."""


@dataclass
class Stranger:
    """A server somewhere else. Whatever reaches it was led there."""

    base: str = ""
    heard: list[str] = field(default_factory=list)


@asynccontextmanager
async def stranger() -> AsyncIterator[Stranger]:
    found = Stranger()

    async def hear(request: web.Request) -> web.Response:
        found.heard.append(
            f"{request.method} {request.path_qs} for {request.headers.get('Referer')}"
        )
        return web.Response(text="top.location = 'about:blank'", content_type="text/javascript")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


def markup(base: str) -> str:
    """Give a text that is markup in a text, in an attribute, in a script, in JSON, in a template."""
    return (
        f"'\"></textarea></title></script><b data-trace onmouseover=alert(1)>&lt;b&gt;</b><script>alert(2)</script><img src={base}/taken/img"
        f" onerror=alert(3)><a href=javascript:alert(4)>a</a><div hx-get='{base}/taken/hx' hx-trigger=load hx-on::load=alert(5)></div>"
        f"<meta http-equiv=refresh content='0;url={base}/taken/meta'><base href='{base}/taken/'>{{{{ 7 * 7 }}}}{{% raw %}}${{alert(6)}}\u202e"
    )


def report(base: str) -> bytes:
    """Give a report that tries whatever a page in a frame may try."""
    return (
        f"<!doctype html><html><head><base href='{base}/taken/base/' target=_top><meta http-equiv=refresh content='0;url={base}/taken/refresh'>"
        f"<meta http-equiv=Set-Cookie content='fip_session=x'><link rel=stylesheet href='{base}/taken/css'>"
        f"<link rel=prefetch href='{base}/taken/prefetch'><link rel=dns-prefetch href='{base}'><link rel=preconnect href='{base}'>"
        f"<style>@import '{base}/taken/import'; body {{ background: url({base}/taken/background) }}</style>"
        f"<script>top.location='{base}/taken/top'; parent.document.cookie='a=b'; alert(7)</script><script src='{base}/taken/script'></script></head>"
        f"<body onload=alert(8)><p id=words>A report</p><img src='{base}/taken/image' onerror=alert(9)><iframe src='{base}/taken/frame'></iframe>"
        f"<iframe srcdoc='<script>alert(10)</script>'></iframe><object data='{base}/taken/object'></object><embed src='{base}/taken/embed'>"
        f"<video src='{base}/taken/video' autoplay></video><svg><image href='{base}/taken/svg'/><script>alert(11)</script></svg>"
        f"<form id=f action='{base}/taken/form' method=post target=_top><input name=a><button id=send>Send</button></form>"
        f"<a id=out href='{base}/taken/link' target=_top ping='{base}/taken/ping'>out</a>"
        f"<a id=popup href='{base}/taken/popup' target=_blank>out</a><a id=script href='javascript:alert(12)'>run</a></body></html>"
    ).encode()


async def spoil(story: Story, text: str, base: str) -> None:
    """Write it everywhere."""
    pool = story.pool
    there = {
        (row["table_name"], row["column_name"])
        for row in await pool.fetch(
            "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        )
    }
    for table, columns in FREE.items():
        for column in columns:
            if (table, column) in there:
                await pool.execute(f"update {table} set {column} = $1", text)
    await pool.execute(
        "update users set username = left($1, 60) || id, email = $1 || id where username not in ('alice', 'admin')",
        text,
    )
    await pool.execute(
        "update job_files set name = left($1, 80) || name where role <> 'archive'", text
    )
    await pool.execute(
        "update reference_panels set populations = $1", [{"key": text, "label": text}]
    )
    await pool.execute("update imputation_jobs set options = $1", {text: text})
    await pool.execute("update imputation_jobs set warnings = array[$1]", text)
    await pool.execute(
        "insert into audit_logs (user_id, action, resource_type, resource_id, details, address)"
        " select id, $1, $1, $1, $2, $1 from users",
        text,
        {"name": text, text: text},
    )
    for name in ("session.x", "auth.login_failed", "service.updated", "job.created"):
        await pool.execute(
            "insert into audit_logs (user_id, action, resource_type, resource_id, details, address) select id, $1, $2, $2, $3, $2 from users",
            name, text, {"name": text, "username": text, "fields": [text]},
        )  # fmt: skip
    for number, url in enumerate(
        ("javascript:alert(13)", f"{base}/taken/notice", "http://[", "//[/ui/", f"{base}/ui/jobs")
    ):
        await pool.execute(
            "insert into notifications (user_id, dedup_key, type, title, message, channels, data)"
            " values ($1, $2, 'job_completed', $3, $3, '{web}', $4)",
            story.users["alice"], f"spoilt-{number}", text, {"action_url": url, "name": text},
        )  # fmt: skip
    await _spoil_form(pool, text)
    await _spoil_results(pool, text)


async def _spoil_form(pool: Any, text: str) -> None:
    option = {"id": text, "label": text, "default": text, "choices": []}
    form = {
        "phasings": [text], "default_phasing": text, "modes": [text], "builds": ["hg19"],
        "options": [
            *({**option, "kind": kind} for kind in ("text", "number", "checkbox", text)),
            {**option, "kind": "choice", "choices": [{"key": text, "label": text}]},
        ],
    }  # fmt: skip
    await pool.execute("update services set live_form = $1", form)


async def _spoil_results(pool: Any, text: str) -> None:
    rows = await pool.fetch("select job_id, result from job_analyses where result is not null")
    assert rows, "there is an analysis to spoil"
    for row in rows:
        result = row["result"]
        result["problems"] = [text]
        for item in result["chromosomes"]:
            item["name"] = text
        for item in result["windows"]:
            item["chromosome"] = text
        for item in result["sources"]:
            item["name"] = item["problem"] = text
        result["suspects"] = [
            {"chromosome": text, "position": 1, "ref": text, "alt": text, "r2": 0.9, "er2": 0.1}
        ]
        result["suspects_total"] = result["chunks_total"] = 1
        result["excluded"] = [{"reason": text, "sites": 3}]
        result["chunks"] = [{"name": text, "sites": text, "overlap": text, "low_call_rate": text}]
        await pool.execute(
            "update job_analyses set result = $2 where job_id = $1", row["job_id"], result
        )


async def spoil_report(story: Story, content: bytes) -> None:
    """Put another report where the true one was."""
    key = await story.pool.fetchval(
        "update files set size_bytes = $2, sha256 = null, content_type = 'text/html' where id = $1 returning storage_key",
        story.report_id, len(content),
    )  # fmt: skip
    path = story.world.platform.deps.store.path(key)
    path.chmod(0o600)
    path.write_bytes(content)


@pytest.mark.timeout(420)
async def test_pages_when_everything_on_them_is_markup_then_all_of_it_is_text(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path, browser: Any
) -> None:
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    port = free_port()
    changes = {**SETTINGS, "public_url": f"http://127.0.0.1:{port}"}
    faults: list[str] = []
    async with (
        stranger() as other,
        open_world(settings, database_url, redis_url, tmp_path, port=port, **changes) as world,
    ):
        story = await tell(world, file, crowd=3)
        async with asyncio.timeout(60):
            for job in await story.job_ids("done"):
                while (await world.alice.call("GET", f"/jobs/{job}/analysis"))[
                    "state"
                ] == "computing":
                    await asyncio.sleep(0.2)
        await spoil(story, markup(other.base), other.base)
        await spoil_report(story, report(other.base))
        left = await find_stops(story, every_job=False)
        assert len(left) > 30

        done = story.jobs["done"]

        async def look(who: str, stops: list[Stop]) -> None:
            async with walker(browser, story, who) as visitor:

                async def refuse(dialog: Dialog) -> None:
                    faults.append(f"{visitor.page.url}: a dialog: {dialog.message}")
                    await dialog.dismiss()

                visitor.page.on("dialog", refuse)
                for stop in stops:
                    page = await arrive(visitor, stop)
                    if "/report/" in stop.path:  # all of it is the service's
                        assert page.url == story.world.base + stop.path
                        visitor.faults.clear()
                        continue
                    await page.mouse.move(300, 300)
                    found = await traces(page)
                    if stop.path.startswith(f"/ui/jobs/{done}"):
                        # The browser says what it refused to the report; that nothing got out, the stranger knows.
                        visitor.faults.clear()
                    faults.extend(
                        f"{stop.name} ({stop.path}): {fault}" for fault in [*found, *visitor.faults]
                    )
                    visitor.faults.clear()

        for who in {stop.who for stop in left}:
            await look(who, [stop for stop in left if stop.who == who])
        assert not faults, "\n".join(faults[:30])
        assert other.heard == []
        await press_all(browser, story, other)


async def traces(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(
        "traces => [...document.querySelectorAll(traces)].map(item => 'markup: ' + item.outerHTML.slice(0, 200))",
        TRACES,
    )
    return found


async def press_all(browser: Any, story: Story, other: Stranger) -> None:
    """Press whatever the report has, in its frame."""
    async with walker(browser, story, "alice") as visitor:
        page = visitor.page
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        address = f"{story.world.base}/ui/jobs/{story.jobs['done']}"
        await page.goto(address)
        frame = page.frame_locator("iframe.report")
        await page.locator("iframe.report").scroll_into_view_if_needed()
        await frame.locator("#words").wait_for()
        for part in ("#send", "#out", "#popup", "#script"):
            await frame.locator(part).click(no_wait_after=True)
            await page.wait_for_timeout(200)
            assert page.url == address, part
            assert len(visitor.context.pages) == 1, part
        assert not dialogs
        assert other.heard == []
        visitor.faults.clear()  # it was refused, and the browser says so
