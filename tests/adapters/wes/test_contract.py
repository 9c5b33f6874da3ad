"""The WES dialect passes the contract: over a server of sapporo's kind, with the files sent along."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.base import Adapter, Credential, RemoteState, Submission
from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Transport
from tests.adapters.conftest import make_submission
from tests.adapters.contract import AdapterContract, Bench
from tests.fakes.recording import HTML_502
from tests.fakes.wes import GOOD_TOKEN, FakeWes

RAW = {
    RemoteState.SUCCEEDED: "COMPLETE",
    RemoteState.FAILED: "EXECUTOR_ERROR",
    RemoteState.CANCELLED: "CANCELED",
    RemoteState.GONE: "DELETED",
}
CONFIG: dict[str, object] = {
    "allow_insecure": True,
    "workflow": {
        "url": "impute.cwl",
        "type": "cwl",
        "type_version": "V1.2",
        "engine": "cwltool",
        "attachments": [{"name": "impute.cwl", "content": "cwlVersion: v1.2\n"}],
    },
    "params": {
        "vcfs": [{"class": "File", "location": "{input_name}"}],
        "panel": "{panel.value}",
        "build": "{build}",
        "phasing": "{phasing}",
        "population": "{population}",
        "job": "{job_id}",
    },
    "maps": {
        "build": {"hg19": "b37", "hg38": "b38"},
        "phasing": {"eagle": "eagle", "none": "no_phasing"},
    },
    "panels": {"h3africa": {"value": "/panels/h3a", "populations": ["afr", "mixed"]}},
    "input_mode": "attachment",
    "auth": {"kind": "bearer"},
}


class WesBench:
    """The fake of sapporo's kind: runs move only when told to."""

    good = Credential(token=GOOD_TOKEN)
    bad = Credential(token="not-a-token-of-the-fake")
    unknown_id = "00000000-0000-4000-8000-000000000000"
    ends = frozenset({RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE})
    hides_jobs = False

    def __init__(
        self, server: FakeWes, transport: Transport, folder: Path, **config: object
    ) -> None:
        self._server = server
        self._registry = AdapterRegistry(transport)
        self._folder = folder
        self._config = {**CONFIG, **config}

    def open(self, credential: Credential | None) -> Adapter:
        return self._registry.open(
            "ga4gh_wes", base_url=self._server.url, config=self._config, credential=credential
        )

    def submission(self, name: str) -> Submission:
        return make_submission(self._folder, name, panel_key="h3africa")

    async def hold_jobs(self) -> None:
        """Nothing to do."""

    async def finish(self, remote_id: str) -> None:
        run = self._server.runs[remote_id]
        run.files = {
            "chr20.dose.vcf.gz": b"dose" * 999,
            "chr20.info.gz": b"i",
            "report.html": b"<html></html>",
            "run.log": b"",
        }
        await self.force(remote_id, RemoteState.SUCCEEDED)

    async def force(self, remote_id: str, state: RemoteState) -> None:
        self._server.runs[remote_id].state = RAW[state]

    async def lose_next_answer(self) -> None:
        self._server.lose_answers = 1

    async def break_down(self) -> None:
        self._server.misbehave(HTML_502)

    async def mend(self) -> None:
        self._server.behave()

    async def count_named(self, name: str) -> int:
        return sum(run.params["job"] == name for run in self._server.runs.values())


class TestWesOverSapporo(AdapterContract):
    """Tags are searched for, the list is paged."""

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        async with FakeWes(most_per_page=2) as server:
            yield WesBench(server, transport, tmp_path)


class TestWesOverPlainServer(AdapterContract):
    """A server of no known kind below a prefix, whose list shows no tags: each run is read to find one again."""

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        async with FakeWes(
            base="/some/ga4gh/wes/v1", shows_tags=False, list_key="workflows", most_per_page=2
        ) as server:
            server.info.pop("type")
            server.info["id"] = "org.example.wes"
            yield WesBench(server, transport, tmp_path)
