"""Every dialect passes the contract: here against the small fake, and against the sandbox server as it is shipped."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest

from app.adapters.base import Adapter, Credential, InputFile, RemoteState, Submission
from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Transport
from app.sandbox.config import SandboxConfig, SandboxUser
from tests.adapters.conftest import PASSWORD, make_submission
from tests.adapters.contract import OPEN, AdapterContract, Bench
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.cloudgene2 import FakeCloudgene2
from tests.fakes.recording import HTML_502
from tests.fakes.simple import FakeSimple, plain
from tests.fakes.zips import Entry, zipcrypto
from tests.sandbox.support import serving
from tests.sandbox.vcf import write_vcf

RAW = {
    RemoteState.DEAD: -1,
    RemoteState.SUCCEEDED: 4,
    RemoteState.FAILED: 5,
    RemoteState.CANCELLED: 6,
    RemoteState.GONE: 7,
}
ENDS = frozenset({RemoteState.DEAD, RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE})


class FakeBench:
    """The fake Cloudgene: jobs move only when told to."""

    good = Credential(token=GOOD_TOKEN)
    bad = Credential(token="not-a-token")
    unknown_id = "job-20200101-000000-000"
    ends = ENDS
    hides_jobs = False

    def __init__(self, server: FakeCloudgene, transport: Transport, folder: Path) -> None:
        self._server = server
        self._registry = AdapterRegistry(transport)
        self._folder = folder

    def open(self, credential: Credential | None) -> Adapter:
        return self._registry.open(
            "michigan",
            base_url=self._server.url,
            config={"allow_insecure": True},
            credential=credential,
        )

    def submission(self, name: str) -> Submission:
        return make_submission(self._folder, name)

    async def hold_jobs(self) -> None:
        """Nothing to do."""

    async def finish(self, remote_id: str) -> None:
        archive = zipcrypto(
            PASSWORD, Entry("chr20.dose.vcf.gz", b"dose" * 999), Entry("chr20.info.gz", b"i")
        )
        self._server.offer(remote_id, "chr_20.zip", archive)
        self._server.offer(remote_id, "quality-control.html", b"<html></html>")
        self._server.offer(remote_id, "statistics/snps-excluded.txt", b"none\n")
        await self.force(remote_id, RemoteState.SUCCEEDED)

    async def force(self, remote_id: str, state: RemoteState) -> None:
        self._server.jobs[remote_id]["state"] = RAW[state]

    async def lose_next_answer(self) -> None:
        self._server.lose_answers = 1

    async def break_down(self) -> None:
        self._server.misbehave(HTML_502)

    async def mend(self) -> None:
        self._server.behave()

    async def count_named(self, name: str) -> int:
        return sum(job["name"] == name for job in self._server.jobs.values())


class SimpleBench(FakeBench):
    """The fake gateway of the simple dialect."""

    ends = frozenset({RemoteState.FAILED, RemoteState.CANCELLED})
    hides_jobs = True

    def __init__(
        self, server: FakeSimple, transport: Transport, folder: Path, dialect: str
    ) -> None:
        self._server = server  # type: ignore[assignment] # it has the same switches
        self._registry = AdapterRegistry(transport)
        self._folder = folder
        self._dialect = dialect

    def open(self, credential: Credential | None) -> Adapter:
        return self._registry.open(
            "michigan",
            base_url=self._server.url,
            config={"allow_insecure": True, "dialect": self._dialect},
            credential=credential,
        )

    def submission(self, name: str) -> Submission:
        made = make_submission(self._folder, name)
        return replace(made, files=made.files[:1], panel_key="h3africa", population="AFR")

    async def finish(self, remote_id: str) -> None:
        self._server.jobs[remote_id]["results"] = plain(
            {"imputed.vcf.gz": b"dose" * 99, "imputed.vcf.gz.tbi": b"i", "statistics.txt": b"s"}
        )
        self._server.jobs[remote_id]["state"] = "success"

    async def force(self, remote_id: str, state: RemoteState) -> None:
        words = {RemoteState.FAILED: "error", RemoteState.CANCELLED: "canceled"}
        self._server.jobs[remote_id]["state"] = words[state]


class SandboxBench:
    """The sandbox server with its instant engine, told what to do through its side door."""

    good = Credential(token="alice-token")
    bad = Credential(token="not-a-token")
    unknown_id = "job-20200101-000000-000"
    ends = ENDS
    hides_jobs = False

    def __init__(
        self, url: str, transport: Transport, vcf: Path, session: aiohttp.ClientSession
    ) -> None:
        self._url = url
        self._registry = AdapterRegistry(transport)
        self._vcf = vcf
        self._session = session

    def open(self, credential: Credential | None) -> Adapter:
        return self._registry.open(
            "michigan", base_url=self._url, config={"allow_insecure": True}, credential=credential
        )

    def submission(self, name: str) -> Submission:
        files = (InputFile(self._vcf, "chr20.vcf.gz", self._vcf.stat().st_size),)
        made = make_submission(self._vcf.parent, name, files=files)
        return replace(made, panel_key="apps@h3africa-sandbox@1.0.0")

    async def hold_jobs(self) -> None:
        await self._patch(run_s=30.0)

    async def finish(self, remote_id: str) -> None:
        adapter = self.open(self.good)
        async with asyncio.timeout(20):
            while (await adapter.status(remote_id)).state in OPEN or not await adapter.outputs(
                remote_id
            ):
                await asyncio.sleep(0.02)

    async def force(self, remote_id: str, state: RemoteState) -> None:
        url = f"{self._url}/sandbox/jobs/{remote_id}/state"
        async with self._session.post(url, json={"state": RAW[state]}) as response:
            assert response.status == 200

    async def lose_next_answer(self) -> None:
        await self._patch(lose_submit_answer_n=1)

    async def break_down(self) -> None:
        await self._patch(answer="html_502")

    async def mend(self) -> None:
        await self._patch(answer="")

    async def count_named(self, name: str) -> int:
        async with self._session.get(f"{self._url}/sandbox/stats") as response:
            counts = (await response.json())["jobs_by_name"]
        return int(counts.get(name, 0))

    async def _patch(self, **faults: object) -> None:
        async with self._session.patch(f"{self._url}/sandbox/faults", json=faults) as response:
            assert response.status == 200, await response.text()


class TestMichiganOverFake(AdapterContract):
    """The Michigan dialect and the fake of these tests."""

    @pytest.fixture
    def bench(self, cloudgene: FakeCloudgene, transport: Transport, tmp_path: Path) -> Bench:
        return FakeBench(cloudgene, transport, tmp_path)


class TestCloudgene2OverFake(AdapterContract):
    """Generation 2, which the adapter has to tell by itself."""

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        async with FakeCloudgene2() as server:
            yield FakeBench(server, transport, tmp_path)


class TestSimpleOverFake(AdapterContract):
    """The simple dialect, as configured."""

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        async with FakeSimple() as server:
            yield SimpleBench(server, transport, tmp_path, "simple")


class TestSimpleFoundOut(AdapterContract):
    """The simple dialect, which the adapter has to tell by itself."""

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        async with FakeSimple() as server:
            yield SimpleBench(server, transport, tmp_path, "auto")


class SimpleSandboxBench(SandboxBench):
    """The sandbox as a gateway of the simple dialect."""

    ends = frozenset({RemoteState.FAILED, RemoteState.CANCELLED})
    hides_jobs = True

    def submission(self, name: str) -> Submission:
        return replace(super().submission(name), panel_key="h3africa", population="AFR")


class OverSandbox(AdapterContract):
    """The sandbox with its instant engine: another reading of the same sources, made apart."""

    bench_type: type[SandboxBench] = SandboxBench
    switches: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    async def bench(self, transport: Transport, tmp_path: Path) -> AsyncIterator[Bench]:
        config = SandboxConfig(
            data_dir=tmp_path / "sandbox",
            engine="instant",
            export_delay_s=0.0,
            max_jobs_per_user=None,
            users={"alice-token": SandboxUser("alice", mail="alice@example.org")},
            **self.switches,
        )
        vcf = write_vcf(tmp_path / "stored.vcf.gz")
        async with serving(config) as (_, url), aiohttp.ClientSession() as session:
            yield self.bench_type(url, transport, vcf, session)


class TestMichiganOverSandbox(OverSandbox):
    """Cloudgene 3."""


class TestTopmedOverSandbox(OverSandbox):
    """Cloudgene 3 as TOPMed has it: checksums beside the results, which lie in object storage."""

    switches: ClassVar[dict[str, Any]] = {"topmed": True}


class TestCloudgene2OverSandbox(OverSandbox):
    """Cloudgene 2."""

    switches: ClassVar[dict[str, Any]] = {"dialect": "cloudgene2"}


class TestSimpleOverSandbox(OverSandbox):
    """The simple dialect."""

    bench_type = SimpleSandboxBench
    switches: ClassVar[dict[str, Any]] = {"dialect": "simple"}
