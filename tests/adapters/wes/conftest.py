"""Servers of three kinds, and adapters for them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.adapters.base import Credential, InputFile, Submission
from app.adapters.transport import Transport
from app.adapters.wes.adapter import WesAdapter, open_adapter
from tests.fakes.wes import GOOD_TOKEN, FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

Open = Callable[..., WesAdapter]
SAPPORO: dict[str, object] = {
    "workflow": {"url": "https://x.org/w.cwl", "type": "CWL", "type_version": "v1.2", "engine": "cwltool"},
    "params": {"vcf": "{input_url}", "job": "{job_id}"},
    "auth": {"kind": "bearer"},
}  # fmt: skip
WESKIT: dict[str, object] = {
    "workflow": {"url": "imputation/main.nf", "type": "NFL", "type_version": "22.10.0"},
    "params": {"input": "{input_urls}", "panel": "{panel.value}", "job_id": "{job_id}"},
    "params_as_strings": True,
}
STARTER_KIT: dict[str, object] = {
    "workflow": {"url": "https://github.com/org/repo/tree/master", "type": "NEXTFLOW", "type_version": "21.04.0"},
    "params": {"input": "{samplesheet_url}", "panel": "{panel.value}", "job_id": "{job_id}"},
    "input_mode": "samplesheet-url",
}  # fmt: skip
LINK = "https://fip.example.org/in/s3cr3t-of-the-link"


@pytest.fixture
async def sapporo() -> AsyncIterator[FakeWes]:
    async with FakeWes() as server:
        yield server


@pytest.fixture
async def weskit() -> AsyncIterator[FakeWeskit]:
    async with FakeWeskit() as server:
        yield server


@pytest.fixture
async def starter_kit() -> AsyncIterator[FakeStarterKit]:
    async with FakeStarterKit() as server:
        yield server


@pytest.fixture
def at(transport: Transport) -> Open:
    """Open an adapter over plain http: `at(url, config, **changes)`."""

    def opened(
        url: str,
        config: dict[str, object],
        credential: Credential | None = None,
        **changes: object,
    ) -> WesAdapter:
        if credential is None and "auth" in {**config, **changes}:
            credential = Credential(token=GOOD_TOKEN)
        return open_adapter(
            transport, url, {"allow_insecure": True, **config, **changes}, credential
        )

    return opened


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Submission]:
    """Make a job of `files` input files with links."""

    def made(name: str = "fi-1", files: int = 1, **changes: object) -> Submission:
        inputs = []
        for number in range(files):
            path = tmp_path / f"stored-{number}"
            path.write_bytes(b"vcf" * 10)
            plain = f"chr{number + 1}.vcf.gz"
            inputs.append(InputFile(path, plain, 30, url=f"{LINK}/{plain}"))
        values: dict[str, object] = {
            "name": name,
            "files": tuple(inputs),
            "panel_key": "h3a",
            "build": "hg38",
            "phasing": True,
            "population": None,
            "mode": None,
            "archive_password": "fi-abcdefghijklmnopqrstuvwx",
            "samplesheet_url": f"{LINK}/samples.csv",
            "upload_url": f"{LINK}/up/",
        }
        return Submission(**{**values, **changes})  # type: ignore[arg-type] # a bag of keyword arguments

    return made
