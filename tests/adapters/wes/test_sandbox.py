"""The WES dialect passes the contract over the sandbox as it is shipped: with files sent along, and with links."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from app.adapters.base import Adapter, Credential, InputFile, RemoteState, Submission
from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Transport
from app.sandbox.config import SandboxConfig, SandboxUser
from tests.adapters.conftest import make_submission
from tests.adapters.contract import OPEN, AdapterContract, Bench
from tests.sandbox.support import serving
from tests.sandbox.vcf import write_vcf
from tests.sandbox.wes import BASE, open_depot

RAW = {RemoteState.SUCCEEDED: 4, RemoteState.FAILED: 5, RemoteState.CANCELLED: 6}
CONFIG: dict[str, object] = {
    "allow_insecure": True,
    "workflow": {"url": "imputation.nf", "type": "NFL", "type_version": "DSL2"},
    "params": {
        "input": "{input_urls}",
        "panel": "{panel.value}",
        "build": "{build}",
        "phasing": "{phasing}",
        "population": "{population}",
        "job_id": "{job_id}",
    },
    "params_as_strings": True,
    "maps": {
        "build": {"hg19": "hg19", "hg38": "hg38"},
        "phasing": {"eagle": "eagle", "none": "no_phasing"},
    },
    "panels": {"h3africa": {"value": "h3africa-sandbox", "populations": ["afr", "mixed"]}},
    "auth": {"kind": "bearer"},
}
BY_ATTACHMENT: dict[str, object] = {
    **CONFIG,
    "params": {**dict(CONFIG["params"]), "input": "{input_names}"},  # type: ignore[call-overload]
    "input_mode": "attachment",
}


class SandboxWesBench:
    """The sandbox with its instant engine, told what to do through its side door."""

    good = Credential(token="alice-token")
    bad = Credential(token="not-a-token")
    unknown_id = "00000000-0000-4000-8000-000000000000"
    ends = frozenset({RemoteState.FAILED, RemoteState.CANCELLED})
    hides_jobs = False

    def __init__(
        self,
        url: str,
        transport: Transport,
        file: InputFile,
        session: aiohttp.ClientSession,
        config: dict[str, object],
    ) -> None:
        self._url = url
        self._registry = AdapterRegistry(transport)
        self._file = file
        self._session = session
        self._config = config

    def open(self, credential: Credential | None) -> Adapter:
        return self._registry.open(
            "ga4gh_wes", base_url=self._url + BASE, config=self._config, credential=credential
        )

    def submission(self, name: str) -> Submission:
        made = make_submission(self._file.path.parent, name, files=(self._file,))
        return replace(made, panel_key="h3africa")

    async def hold_jobs(self) -> None:
        await self._patch(run_s=30.0)

    async def finish(self, remote_id: str) -> None:
        adapter = self.open(self.good)
        async with asyncio.timeout(20):
            while (await adapter.status(remote_id)).state in OPEN:
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


@pytest.fixture
async def by_link(transport: Transport, tmp_path: Path) -> AsyncIterator[SandboxWesBench]:
    vcf = write_vcf(tmp_path / "stored.vcf.gz")
    async with (
        serving(_config(tmp_path)) as (_, url),
        aiohttp.ClientSession() as session,
        open_depot() as depot,
    ):
        depot.files["chr20.vcf.gz"] = vcf.read_bytes()
        link = f"{depot.url}/in/secret-of-a-link/chr20.vcf.gz"
        file = InputFile(vcf, "chr20.vcf.gz", vcf.stat().st_size, url=link)
        yield SandboxWesBench(url, transport, file, session, CONFIG)


@pytest.fixture
async def by_attachment(transport: Transport, tmp_path: Path) -> AsyncIterator[SandboxWesBench]:
    vcf = write_vcf(tmp_path / "stored.vcf.gz")
    async with serving(_config(tmp_path)) as (_, url), aiohttp.ClientSession() as session:
        file = InputFile(vcf, "chr20.vcf.gz", vcf.stat().st_size)
        yield SandboxWesBench(url, transport, file, session, BY_ATTACHMENT)


def _config(folder: Path) -> SandboxConfig:
    return SandboxConfig(
        data_dir=folder / "sandbox",
        engine="instant",
        export_delay_s=0.0,
        canceling_s=0.0,
        max_jobs_per_user=None,
        users={"alice-token": SandboxUser("alice", mail="alice@example.org")},
    )


class TestWesOverSandboxByLink(AdapterContract):
    """The sandbox fetches the input."""

    @pytest.fixture
    def bench(self, by_link: SandboxWesBench) -> Bench:
        return by_link


class TestWesOverSandboxByAttachment(AdapterContract):
    """The input is sent along."""

    @pytest.fixture
    def bench(self, by_attachment: SandboxWesBench) -> Bench:
        return by_attachment
