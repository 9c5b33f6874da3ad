"""Searching servers whose lists show tags, with tags of every kind. Incident: a run that was there was not found."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter
from tests.adapters.conftest import make_submission
from tests.fakes.wes import FakeWes


@pytest.fixture
async def server() -> AsyncIterator[FakeWes]:
    async with FakeWes(tokens=set(), most_per_page=2) as made:
        yield made


@pytest.mark.parametrize(
    "tags",
    [
        {"platform_job_id": "{job_id}"},
        {"note": "job {job_id} of the platform"},
        {"site": "cape-town"},
        {},
    ],
    ids=["the job", "the job among words", "no job", "none"],
)
@pytest.mark.parametrize("dialect", ["sapporo", "generic"])
async def test_a_run_is_found_whatever_its_tags_say(
    server: FakeWes, transport: Transport, tmp_path: Path, tags: dict[str, str], dialect: str
) -> None:
    config = {
        "allow_insecure": True,
        "dialect": dialect,
        "workflow": {"url": "a.cwl", "type": "cwl", "type_version": "v1.2", "engine": "cwltool"},
        "params": {"vcfs": ["{input_name}"], "job": "{job_id}"},
        "maps": {"phasing": {"eagle": "eagle"}},
        "input_mode": "attachment",
        "tags": tags,
    }
    peer = open_adapter(transport, server.url, config, None)
    ids = {}
    began = datetime.now(UTC)
    for name in ("fi-1", "fi-10", "fi-2"):
        job = make_submission(tmp_path, name, population=None)
        ids[name] = await peer.submit(job, lambda _: None)
    for name, run_id in ids.items():
        assert [job.remote_id for job in await peer.find_by_name(name, began)] == [run_id]
    assert await peer.find_by_name("fi-3", began) == []
