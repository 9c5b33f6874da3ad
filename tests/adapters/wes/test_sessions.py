"""Tokens that a user name and password give: one for all calls at a time, and a new one where it ends among them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.adapters.base import Credential, CredentialRejected, RemoteState
from app.adapters.transport import Transport
from app.adapters.wes.adapter import WesAdapter, open_adapter
from tests.adapters.sinks import MemorySink
from tests.fakes.wes import GOOD_TOKEN, PASSWORD, USERNAME, FakeWes, Run


@pytest.fixture
async def server() -> AsyncIterator[FakeWes]:
    async with FakeWes() as made:
        for run_id in ("run-1", "run-2"):
            made.runs[run_id] = Run(run_id, [], state="COMPLETE", files={"a.vcf.gz": b"vcf"})
        yield made


@pytest.fixture
def peer(server: FakeWes, transport: Transport) -> WesAdapter:
    config = {"allow_insecure": True, "auth": {"kind": "password"}}
    return open_adapter(
        transport, server.url, config, Credential(username=USERNAME, password=PASSWORD)
    )


def logins(server: FakeWes) -> int:
    return len(server.seen("/token", "POST"))


async def test_many_looks_at_the_same_time_log_in_once(peer: WesAdapter, server: FakeWes) -> None:
    assert len(await peer.status_many([f"run-{n}" for n in range(30)])) == 30
    assert logins(server) == 1


async def test_a_token_that_ends_among_downloads_is_replaced_once(
    peer: WesAdapter, server: FakeWes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (output,) = await peer.outputs("run-1")
    server.tokens = {"the-next-token"}
    monkeypatch.setattr("tests.fakes.wes.GOOD_TOKEN", "the-next-token")
    sinks = [MemorySink() for _ in range(6)]
    async with asyncio.TaskGroup() as group:
        for sink in sinks:
            group.create_task(peer.download(output, sink, None, lambda _: None))
    assert [bytes(sink.files["a.vcf.gz"].data) for sink in sinks] == [b"vcf"] * 6
    assert logins(server) == 2
    assert (await peer.status("run-2")).state is RemoteState.SUCCEEDED


async def test_a_new_token_that_is_refused_too_is_the_end(
    peer: WesAdapter, server: FakeWes
) -> None:
    (output,) = await peer.outputs("run-1")
    server.tokens = {"of-another-time"}
    sink = MemorySink()
    with pytest.raises(CredentialRejected) as raised:
        await peer.download(output, sink, None, lambda _: None)
    assert sink.files == {}
    assert logins(server) == 2
    assert GOOD_TOKEN not in raised.value.reason
