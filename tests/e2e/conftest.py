"""Fixtures of the tests that start processes."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import free_port
from tests.support.toil import Toil


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Let processes keep what they compile: these tests start some sixty, and the modules are a third of a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def toil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toil]:
    """A WES server that other people wrote. It starts in two seconds, so each test process has its own."""
    server = Toil(tmp_path_factory.mktemp("toil"), free_port())
    yield server
    server.stop()
