"""A server of wes-service's kind: what is asked about comes into being, so nothing is asked about that it does not list."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from yarl import URL

from app.adapters.base import Adapter, RemoteNotFound, RemoteState, SearchInconclusive
from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter
from tests.adapters.conftest import make_submission
from tests.fakes.recording import HTML_502
from tests.fakes.wes_service import FakeWesService

UNKNOWN = "0123456789abcdef0123456789abcdef"
CONFIG = {
    "allow_insecure": True,
    "workflow": {"url": "a.cwl", "type": "cwl", "type_version": "v1.2"},
    "params": {"vcfs": ["{input_name}"]},
    "maps": {"phasing": {"eagle": "eagle"}},
    "input_mode": "attachment",
}


@pytest.fixture
async def server() -> AsyncIterator[FakeWesService]:
    async with FakeWesService() as made:
        yield made


@pytest.fixture
def peer(server: FakeWesService, transport: Transport) -> Adapter:
    return open_adapter(transport, server.url, CONFIG, None)


async def sent(peer: Adapter, folder: Path, name: str) -> str:
    return await peer.submit(
        make_submission(folder, name, panel_key="any", population=None), lambda _: None
    )


async def test_asking_about_an_unknown_run_makes_none(
    peer: Adapter, server: FakeWesService
) -> None:
    assert (await peer.status(UNKNOWN)).state is RemoteState.MISSING
    assert (await peer.status_many([UNKNOWN]))[UNKNOWN].state is RemoteState.MISSING
    with pytest.raises(RemoteNotFound):
        await peer.outputs(UNKNOWN)
    with pytest.raises(RemoteNotFound):
        await peer.cancel(UNKNOWN)
    assert not server.phantoms


async def test_a_cancel_is_taken(peer: Adapter, tmp_path: Path) -> None:
    run_id = await sent(peer, tmp_path, "fi-1")
    await peer.cancel(run_id)
    assert (await peer.status(run_id)).state is RemoteState.WAITING


async def test_a_search_passes_over_what_others_only_asked_about(
    peer: Adapter, server: FakeWesService, transport: Transport, tmp_path: Path
) -> None:
    url = f"{server.url}/runs/{UNKNOWN}/status"
    began = datetime.now(UTC)
    run_id = await sent(peer, tmp_path, "fi-1")
    server.runs[run_id].state = "RUNNING"
    async with transport.stream_get(URL(url), allow_insecure=True) as download:
        assert download.answer.status == 200
    assert server.phantoms == [UNKNOWN]
    assert [job.remote_id for job in await peer.find_by_name("fi-1", began)] == [run_id]
    assert await peer.find_by_name("fi-2", began) == []


async def test_a_search_proves_nothing_where_a_run_that_ended_cannot_be_read(
    peer: Adapter, server: FakeWesService, tmp_path: Path
) -> None:
    run_id = await sent(peer, tmp_path, "fi-1")
    server.runs[run_id].state = "COMPLETE"
    server.phantoms.append(run_id)
    with pytest.raises(SearchInconclusive):
        await peer.find_by_name("fi-2", datetime.now(UTC))


async def test_a_search_proves_nothing_where_a_proxy_answers_for_runs(
    peer: Adapter, server: FakeWesService, tmp_path: Path
) -> None:
    run_id = await sent(peer, tmp_path, "fi-1")
    server.runs[run_id].state = "RUNNING"
    server.misbehave(HTML_502, path=f"/ga4gh/wes/v1/runs/{run_id}")
    with pytest.raises(SearchInconclusive):
        await peer.find_by_name("fi-2", datetime.now(UTC))
