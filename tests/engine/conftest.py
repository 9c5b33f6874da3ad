"""The world of the engine's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app import lifespan
from app.genotypes.testdata import write_test_files
from app.settings import Settings
from tests.engine.stage import Stage, make_person, open_stage
from tests.support.jobs import ThreadInspector
from tests.support.people import Person
from tests.support.world import World, open_world


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small, valid input on chromosome 20, hg19."""
    return write_test_files(tmp_path_factory.mktemp("input"), None)[0].path


@pytest.fixture
async def world(
    settings: Settings,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr(lifespan, "Inspector", ThreadInspector)
    async with open_world(settings, database_url, redis_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def stage(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    async with open_stage(settings, pool) as opened:
        yield opened


@pytest.fixture
async def dora(stage: Stage) -> Person:
    """Somebody who submits jobs on the stage."""
    return await make_person(stage, "dora")
