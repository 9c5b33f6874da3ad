"""A world with its browser. Each test has a platform and visitors of its own; Chromium and what drives it run once a session.

The driver belongs to an event loop, so these tests share the session's, and each is held to leave nothing running there.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from app import lifespan
from app.settings import Settings
from tests.support.browsing import Visitor, connect, find_chromium, run_chromium, visit
from tests.support.workers import KeptInspector
from tests.support.world import World, open_world

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


HERE = Path(__file__).parent
LEFT_S = 5.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder on the session's event loop."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _nothing_left(browser: Browser) -> AsyncIterator[None]:
    """Fail for what a test left running."""
    before = asyncio.all_tasks()
    yield
    if left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        _, still = await asyncio.wait(left, timeout=LEFT_S)
        assert not still, f"still running: {still}"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The debugging address of the session's Chromium."""
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: scripts/debian-packages does it")
        pytest.skip("chromium is not installed: apt-get install chromium")
    with run_chromium(tmp_path_factory.mktemp("chromium")) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The session's Chromium."""
    async with connect(chromium) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def world(
    settings: Settings,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """The platform at its public address, with engine; sandboxes on demand (`world.sandbox()`, `world.add_service()`)."""
    monkeypatch.setattr(lifespan, "Inspector", KeptInspector)
    port = free_port()
    changes: dict[str, Any] = {"public_url": f"http://127.0.0.1:{port}", "registration": "open"}
    async with open_world(
        settings, database_url, redis_url, tmp_path, port=port, **changes
    ) as world:
        yield world


@pytest.fixture
def visits(browser: Browser, world: World) -> Visit:
    """What gives visitors; its options are those of the browser's context."""
    return lambda **options: visit(browser, world.base, **options)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visits: Visit) -> AsyncIterator[Visitor]:
    """Somebody who has just come."""
    async with visits() as visitor:
        yield visitor


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
