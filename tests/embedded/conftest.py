"""Folders for the servers, and a process of its own that runs them."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres

REPOSITORY = Path(__file__).parents[2]
WAIT_S = 20.0


async def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when `condition` holds.

    Raises:
        TimeoutError: it never does.
    """
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether no such process runs; one that waits to be reaped by its parent runs no more."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def _open_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fip-test-", dir="/var/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder that every account may pass through (pytest's own `tmp_path` lies below a closed one)."""
    with _open_dir() as path:
        yield path


@pytest.fixture(scope="session")
def new_cluster() -> Iterator[Path]:
    """What `EmbeddedPostgres` leaves after its first start."""

    async def first_start(root: Path) -> None:
        async with EmbeddedPostgres(root):
            pass

    with _open_dir() as path:
        asyncio.run(first_start(path / "postgres"))
        yield path / "postgres"


@pytest.fixture
def data_dir(open_dir: Path, new_cluster: Path) -> Path:
    """A data directory in which PostgreSQL (in `postgres`) has run once: five times as fast as a first start."""
    subprocess.run(["cp", "-a", new_cluster, open_dir], check=True)
    return open_dir


@pytest.fixture
def pg_root(data_dir: Path) -> Path:
    """The folder of a PostgreSQL that has run once."""
    return data_dir / "postgres"


@dataclass(frozen=True)
class Child:
    """A process that runs both servers, and where they are."""

    process: asyncio.subprocess.Process
    postgres_url: str
    postgres_pid: int
    valkey_url: str
    valkey_pid: int

    async def kill(self) -> None:
        """Kills the process, not the servers, and waits until all of them are gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.communicate()
        await wait_until(lambda: is_gone(self.postgres_pid) and is_gone(self.valkey_pid))


StartChild = Callable[..., Awaitable[Child]]


@pytest.fixture
async def start_child() -> AsyncIterator[StartChild]:
    """Starts `tests.embedded.child` on a folder, optionally by another interpreter and with a prefix."""
    children: list[Child] = []

    async def start(
        root: Path,
        *,
        python: str = sys.executable,
        prefix: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> Child:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, python, "-m", "tests.embedded.child", str(root)),
            stdout=asyncio.subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
        )
        assert process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            line = await process.stdout.readline()
            if not line:
                await process.wait()
                pytest.fail("the child ended without starting the servers")
        facts = json.loads(line)
        children.append(Child(process, *facts["postgres"], *facts["valkey"]))
        return children[-1]

    yield start
    for child in children:
        await child.kill()
