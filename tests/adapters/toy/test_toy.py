"""A third dialect is one folder and one line in the table: everything else follows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.base import Adapter, Credential, Recognised, RemoteState, Submission
from app.adapters.registry import DIALECTS, AdapterRegistry, Dialect
from app.adapters.transport import Transport
from app.usecases.catalogue import add_service
from app.usecases.deps import Deps
from app.usecases.discovery import Address, discover
from app.usecases.monitoring import check_health
from app.usecases.service_fields import NewService
from app.usecases.syncing import sync_panels
from tests.adapters.conftest import make_submission
from tests.adapters.contract import AdapterContract, Bench
from tests.adapters.toy.adapter import STATES, open_adapter, recognise
from tests.adapters.toy.server import KEY, ToyServer
from tests.fakes.cloudgene import FakeCloudgene
from tests.fakes.cloudgene_form import PANEL
from tests.fakes.recording import HTML_502

WITH_TOY = {
    **DIALECTS,
    "toy": Dialect(open_adapter, recognise),
}
RAW = {state: word for word, state in STATES.items()}


@pytest.fixture
async def toy() -> AsyncIterator[ToyServer]:
    """A healthy server."""
    async with ToyServer() as server:
        yield server


@pytest.fixture
def registry(transport: Transport) -> AdapterRegistry:
    """The dialects of the platform, and one more."""
    return AdapterRegistry(transport, WITH_TOY)


class ToyBench:
    """The toy server, put into situations."""

    good = Credential(token=KEY)
    bad = Credential(token="not-a-key")
    unknown_id = "0" * 32
    hides_jobs = False
    ends = frozenset(
        {RemoteState.DEAD, RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE}
    )

    def __init__(self, server: ToyServer, registry: AdapterRegistry, folder: Path) -> None:
        self._server = server
        self._registry = registry
        self._folder = folder

    def open(self, credential: Credential | None) -> Adapter:
        config = {"allow_insecure": True}
        return self._registry.open(
            "toy", base_url=self._server.url, config=config, credential=credential
        )

    def submission(self, name: str) -> Submission:
        return make_submission(self._folder, name)

    async def hold_jobs(self) -> None:
        """They stay by themselves."""

    async def finish(self, remote_id: str) -> None:
        self._server.offer(remote_id, "chr20.dose.vcf.gz", b"dose" * 999)
        self._server.offer(remote_id, "report.txt", b"fine")
        await self.force(remote_id, RemoteState.SUCCEEDED)

    async def force(self, remote_id: str, state: RemoteState) -> None:
        if state is RemoteState.GONE:
            del self._server.jobs[remote_id]
        else:
            self._server.jobs[remote_id]["state"] = RAW[state]

    async def lose_next_answer(self) -> None:
        self._server.lose_answers = 1

    async def break_down(self) -> None:
        self._server.misbehave(HTML_502)

    async def mend(self) -> None:
        self._server.behave()

    async def count_named(self, name: str) -> int:
        return sum(job["name"] == name for job in self._server.jobs.values())


class TestToy(AdapterContract):
    """The dialect and its server."""

    @pytest.fixture
    def bench(self, toy: ToyServer, registry: AdapterRegistry, tmp_path: Path) -> Bench:
        return ToyBench(toy, registry, tmp_path)

    async def test_results_when_the_password_is_another_then_rejected(self, bench: Bench) -> None:
        """The dialect has no passwords, and says so."""
        assert not bench.open(bench.good).capabilities.archive_password


async def test_recognise_when_several_kinds_are_known_then_each_server_is_told_for_what_it_is(
    registry: AdapterRegistry, toy: ToyServer
) -> None:
    async with FakeCloudgene() as cloudgene:
        for url, kind in ((toy.url, "toy"), (cloudgene.url, "michigan")):
            said = await registry.recognise(
                url, allow_insecure=True, credential=Credential(token=KEY), limit_s=20.0
            )
            assert set(said) == set(WITH_TOY)
            found = {name for name, word in said.items() if isinstance(word, Recognised)}
            assert found == {kind}
    word = said["toy"]
    assert word is None


async def test_registry_when_a_dialect_is_added_then_it_is_found_added_read_and_looked_at(
    deps: Deps, toy: ToyServer, registry: AdapterRegistry
) -> None:
    deps = replace(deps, adapters=registry)
    address = Address(base_url=toy.url, allow_insecure=True, api_token=KEY)
    (proposal,) = (await discover(deps, None, address)).proposals
    assert (proposal.found.api_type, proposal.found.name) == ("toy", "Toy Imputer")
    assert [panel.key for panel in proposal.found.panels] == [PANEL]
    written = await add_service(deps, None, NewService(**proposal.service))
    assert written.service.api_type == "toy"
    synced = await sync_panels(deps, None, written.service.id, Credential(token=KEY))
    assert (synced.added, synced.dialect) == ([PANEL], "toy1")
    assert (await check_health(deps, written.service)).health == "up"
    toy.misbehave(HTML_502)
    assert (await check_health(deps, written.service)).health == "down"
