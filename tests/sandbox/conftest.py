"""A sandbox with the instant engine and three users with fixed tokens."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig, SandboxUser
from tests.sandbox.support import User, serving
from tests.sandbox.vcf import write_vcf


@pytest.fixture
def config(tmp_path: Path) -> SandboxConfig:
    """Override the fixture, or use ``dataclasses.replace``."""
    return SandboxConfig(
        data_dir=tmp_path / "sandbox",
        engine="instant",
        export_delay_s=0.0,
        max_jobs_per_user=None,
        users={
            "alice-token": SandboxUser("alice", "Alice123", "Alice A.", "alice@example.org"),
            "bob-token": SandboxUser("bob", full_name="Bob B.", mail="bob@example.org"),
            "admin-token": SandboxUser("root", mail="root@example.org", admin=True),
        },
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
async def server(config: SandboxConfig) -> AsyncIterator[tuple[web.Application, str]]:
    async with serving(config) as (app, base):
        yield app, base


@pytest.fixture
async def user(server: tuple[web.Application, str], session: aiohttp.ClientSession) -> User:
    """Alice."""
    return User(session, server[1], "alice-token")


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    """25 unphased samples, 30 sites of chromosome 20."""
    return write_vcf(tmp_path / "chr20.vcf.gz")
