"""A world with its browser. Chromium runs once a session; each test has a platform and visitors of its own."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from app.settings import Settings
from tests.support.browsing import Visitor, connect, find_chromium, run_chromium, visit
from tests.support.world import World, open_world

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The debugging address of the session's Chromium."""
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: scripts/debian-packages does it")
        pytest.skip("chromium is not installed: apt-get install chromium")
    with run_chromium(tmp_path_factory.mktemp("chromium")) as endpoint:
        yield endpoint


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The session's Chromium, connected for one test."""
    async with connect(chromium) as browser:
        yield browser


@pytest.fixture
async def world(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    """The platform at its public address, with engine; sandboxes on demand (`world.sandbox()`, `world.add_service()`)."""
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


@pytest.fixture
async def visitor(visits: Visit) -> AsyncIterator[Visitor]:
    """Somebody who has just come."""
    async with visits() as visitor:
        yield visitor


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
