"""What tests of routes find there: files checked without a process, a service to submit to, a job, a credential's services."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.core.models import Job, Service
from app.usecases.deps import Deps
from tests import factories
from tests.fakes.cloudgene import FakeCloudgene
from tests.support.api import Api
from tests.support.batches import target
from tests.support.jobs import Desk, ThreadInspector, make_desk, submitted
from tests.support.people import Person


@pytest.fixture
def deps(deps: Deps) -> Deps:
    """Everything use cases touch, with files that are checked in a thread."""
    return replace(deps, inspector=ThreadInspector())


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    """A service to which alice may submit."""
    return await make_desk(deps, alice)


@pytest.fixture
async def desks(deps: Deps, alice: Person) -> list[Desk]:
    """Three services to which alice may submit."""
    return [await make_desk(deps, alice) for _ in range(3)]


@pytest.fixture
def targets(desks: list[Desk]) -> list[dict[str, Any]]:
    """The targets of a batch for all three."""
    return [target(desk) for desk in desks]


@pytest.fixture
async def job(deps: Deps, client: Api, alice: Person, desk: Desk) -> Job:
    """A queued job of alice's."""
    return await submitted(deps, client, alice, desk, name="cohort.vcf.gz")


@pytest.fixture
async def service(deps: Deps) -> Service:
    """A service that asks for a token; nothing answers at its address."""
    return await factories.make_service(deps, name="H3Africa")


@pytest.fixture
async def remote() -> AsyncIterator[FakeCloudgene]:
    """A remote server that knows good tokens from bad ones."""
    async with FakeCloudgene() as server:
        yield server


@pytest.fixture
async def live(deps: Deps, remote: FakeCloudgene) -> Service:
    """A service behind which that server answers."""
    return await factories.make_service(deps, name="Live", base_url=remote.url, allow_insecure=True)
