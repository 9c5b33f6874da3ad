"""The platform under attack, over its real interface; files are checked in a thread, not in a process that takes a second."""

from dataclasses import replace

import pytest
from aiohttp import web

from app.settings import Settings
from app.usecases.deps import Deps
from tests.guards.conftest import belongings
from tests.guards.test_pages import places
from tests.support.jobs import Desk, ThreadInspector, make_desk
from tests.support.people import Person

__all__ = ["belongings", "places"]
"""Fixtures of the guards: everything that somebody can own, as alice's."""
MIB = 1024 * 1024


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Limits that a test can reach."""
    return replace(
        settings,
        upload_idle_timeout_s=1.0,
        max_file_bytes=2 * MIB,
        max_upload_bytes=100 * MIB,
        registration="open",
    )


@pytest.fixture
def deps(deps: Deps) -> Deps:
    return replace(deps, inspector=ThreadInspector())


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice)


@pytest.fixture
def base(app_server: tuple[web.Application, str]) -> str:
    """Where the platform listens."""
    return app_server[1]
