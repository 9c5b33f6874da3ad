"""The stage of the engine's tests, with quick loops."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from app.settings import Settings
from tests.engine.stage import Stage, make_person, open_stage
from tests.support.people import Person

LOOPS: dict[str, Any] = {
    "poll_interval_s": 0.05,
    "dispatch_interval_s": 0.02,
    "retry_base_s": 0.05,
    "retry_max_s": 0.4,
    "shutdown_grace_s": 0.2,
}


@pytest.fixture
async def stage(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    async with open_stage(settings, pool) as opened:
        quick = replace(opened.deps.settings, **LOOPS)
        yield replace(opened, deps=replace(opened.deps, settings=quick))


@pytest.fixture
async def dora(stage: Stage) -> Person:
    """Somebody who submits jobs on the stage."""
    return await make_person(stage, "dora")
