"""Fetching results: whose credential goes where, DRS, signed links, and what is held at the service."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from app.adapters.base import (
    AdapterError,
    Rejected,
    RemoteNotFound,
    RemoteOutput,
    ServiceUnavailable,
    Submission,
    UntrustedAddress,
)
from app.adapters.wes.adapter import WesAdapter
from tests.adapters.sinks import MemorySink
from tests.adapters.wes.conftest import SAPPORO, STARTER_KIT, WESKIT, Open
from tests.fakes.recording import (
    HTML_200,
    NOTHING,
    Behaviour,
    RecordingServer,
    answer,
    half_an_answer,
    redirect,
)
from tests.fakes.wes import FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

Job = Callable[..., Submission]
VCF = b"imputed genotypes" * 1000


def ignore(_count: int) -> None:
    pass


async def fetched(adapter: WesAdapter, item: RemoteOutput) -> bytes:
    sink = MemorySink()
    await adapter.download(item, sink, "fi-password", ignore)
    return sink.whole()[item.name]


def output(address: str, **changes: Any) -> RemoteOutput:
    return RemoteOutput("i.vcf.gz", "i.vcf.gz", "result", address, **changes)


class Files(RecordingServer):
    """Another origin: answers every path with the same bytes, and objects of DRS."""

    def build(self, app: web.Application) -> None:
        app.router.add_get("/{path:.*}", self.give)
        self.drs: dict[str, object] = {}

    async def give(self, request: web.Request) -> web.StreamResponse:
        for path, said in self.drs.items():
            if request.path.startswith(path):
                return web.json_response(said)
        return web.Response(body=VCF)


@pytest.fixture
async def files() -> Any:
    async with Files() as server:
        yield server


async def test_download_when_same_origin_then_with_the_credential_else_bare(
    sapporo: FakeWes, files: Files, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    run.files = {"i.vcf.gz": VCF}
    run.state = "COMPLETE"
    (item,) = await adapter.outputs(run.run_id)
    assert await fetched(adapter, item) == VCF
    assert await fetched(adapter, output(f"{files.url}/x?sig=a%2Fb")) == VCF
    (seen,) = files.requests
    assert seen.target == "/x?sig=a%2Fb"
    assert "Authorization" not in seen.headers


async def test_download_when_redirected_away_then_the_credential_stays_behind(
    sapporo: FakeWes, files: Files, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    sapporo.misbehave(redirect(f"{files.url}/signed?x=1"), "/runs/r/outputs")
    assert await fetched(adapter, output(f"{sapporo.url}/runs/r/outputs/i")) == VCF
    assert "Authorization" in sapporo.requests[-1].headers
    assert "Authorization" not in files.requests[-1].headers
    back = f"{sapporo.url}/runs/r/outputs/again"
    sapporo.behave()
    sapporo.misbehave(redirect(f"{files.url}/back"), "/runs/r/outputs/i")
    files.misbehave(redirect(back), "/back")
    with pytest.raises(AdapterError):
        await fetched(adapter, output(f"{sapporo.url}/runs/r/outputs/i"))
    assert sapporo.requests[-1].path == "/runs/r/outputs/again"
    assert "Authorization" not in sapporo.requests[-1].headers


async def test_download_when_size_or_checksum_differ_then_rejected(
    files: Files, sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    sha1 = hashlib.sha1(VCF, usedforsecurity=False).hexdigest()
    good = output(f"{files.url}/x", sha1=sha1, size_bytes=len(VCF))
    assert await fetched(adapter, good) == VCF
    for odd in ({"sha1": "0" * 40}, {"size_bytes": 1}, {"md5": "0" * 32}):
        with pytest.raises(Rejected, match="differs"):
            await fetched(adapter, output(f"{files.url}/x", **odd))


async def test_download_when_drs_then_resolved_with_its_headers_and_checksum(
    files: Files, sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO, outputs={"drs_insecure": True})
    url = f"{files.url}/object/bytes"
    access = {"url": url, "headers": ["Authorization: Basic abc", "Host: evil", 7]}
    files.drs["/ga4gh/drs/v1/objects/one"] = {
        "size": len(VCF),
        "access_methods": [{"type": "s3", "access_url": {"url": "s3://b/k"}}, {"type": "https", "access_url": access}],
    }  # fmt: skip
    drs = f"drs://127.0.0.1:{files.port}"
    assert await fetched(adapter, output(f"{drs}/one")) == VCF
    assert files.requests[-1].headers["Authorization"] == "Basic abc"
    files.drs["/ga4gh/drs/v1/objects/three"] = {"access_methods": []}
    with pytest.raises(RemoteNotFound):
        await fetched(adapter, output(f"{drs}/three"))
    files.drs["/ga4gh/drs/v1/objects/four"] = {"size": 3, "access_methods": [{"type": "https", "access_url": {"url": url}}]}  # fmt: skip
    with pytest.raises(Rejected, match="size differs"):
        await fetched(adapter, output(f"{drs}/four"))
    for odd in ("drs://", "drs://host", "drs://127.0.0.1/a/b"):
        with pytest.raises(RemoteNotFound):
            await fetched(adapter, output(odd))
    with pytest.raises(AdapterError):
        await fetched(at(sapporo.url, SAPPORO), output(f"{drs}/one"))


async def test_download_when_drs_has_an_access_id_then_asked_for(
    files: Files, sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO, outputs={"drs_insecure": True})
    files.drs["/ga4gh/drs/v1/objects/o/access/"] = {"url": f"{files.url}/bytes"}
    files.drs["/ga4gh/drs/v1/objects/o"] = {"access_methods": [{"type": "https", "access_id": "a1"}]}  # fmt: skip
    assert await fetched(adapter, output(f"drs://127.0.0.1:{files.port}/o")) == VCF
    assert [item.path for item in files.requests] == [
        "/ga4gh/drs/v1/objects/o",
        "/ga4gh/drs/v1/objects/o/access/a1",
        "/bytes",
    ]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "s3://b/k", "javascript:x", "", "http://", "ftp://x/y"])  # fmt: skip
async def test_download_when_the_address_is_no_address_then_nothing_is_opened(
    sapporo: FakeWes, at: Open, address: str
) -> None:
    with pytest.raises((RemoteNotFound, UntrustedAddress)):
        await fetched(at(sapporo.url, SAPPORO), output(address, held_at="s3://b/k"))


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answer(404, b"{}"), RemoteNotFound), (answer(500, b""), ServiceUnavailable), (answer(403, b"<Error/>"), ServiceUnavailable),
        (HTML_200, ServiceUnavailable), (half_an_answer, ServiceUnavailable),
    ],
)  # fmt: skip
async def test_download_when_it_is_refused_or_cut_then_said_so_and_nothing_kept(
    sapporo: FakeWes, files: Files, at: Open, behaviour: Behaviour, error: type[AdapterError]
) -> None:
    files.misbehave(behaviour)
    sink = MemorySink()
    with pytest.raises(error):
        await at(sapporo.url, SAPPORO).download(output(f"{files.url}/x?secret"), sink, None, ignore)
    assert not any(file.finished for file in sink.files.values())
    files.behave()
    files.misbehave(NOTHING)
    assert await fetched(at(sapporo.url, SAPPORO), output(f"{files.url}/x")) == b""


async def test_weskit_when_it_has_s3_then_fetched_bare_and_scratch_left_out(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    weskit.has_s3 = True
    adapter = at(weskit.url, WESKIT, auth={"kind": "bearer"})
    run = weskit.runs[await adapter.submit(job(), ignore)]
    run.state, run.files = "COMPLETE", {"results/i.vcf.gz": VCF}
    (item,) = await adapter.outputs(run.run_id)
    assert item.name == "results/i.vcf.gz"
    assert "X-Amz-Signature" in item.address
    # The fake's bucket is at the origin of the service itself, as behind one proxy: signed links go bare there too.
    assert await fetched(adapter, item) == VCF
    assert "Authorization" not in weskit.bucket[-1]
    weskit.is_expired = True
    with pytest.raises(ServiceUnavailable, match="may have expired"):
        await fetched(adapter, item)


async def test_weskit_when_it_has_no_s3_then_mapped_or_held(
    weskit: FakeWeskit, files: Files, at: Open, job: Job
) -> None:
    adapter = at(weskit.url, WESKIT)
    run = weskit.runs[await adapter.submit(job(), ignore)]
    run.state, run.files = "COMPLETE", {"results/i.vcf.gz": VCF}
    (item,) = await adapter.outputs(run.run_id)
    assert item.address == ""
    assert item.held_at == f"results/i.vcf.gz (in the folder of run {run.run_id})"
    rule = {"prefix": "", "replace": files.url + "/{run_id}/"}
    adapter = at(weskit.url, WESKIT, outputs={"file_url_map": [rule]})
    (item,) = await adapter.outputs(run.run_id)
    assert await fetched(adapter, item) == VCF
    assert files.requests[-1].path == f"/{run.run_id}/results/i.vcf.gz"


async def test_starter_kit_when_it_lists_its_inputs_too_then_they_are_left_out(
    starter_kit: FakeStarterKit, at: Open, job: Job
) -> None:
    config = {**STARTER_KIT, "params": {"input": "{input_url}"}, "input_mode": "url"}
    adapter = at(starter_kit.url, config)
    run = starter_kit.runs[await adapter.submit(job(), ignore)]
    starter_kit.has_history.add(run.run_id)
    run.state = "COMPLETE"
    run.outputs = {name: f"file:///scratch/work/ab/{name}" for name in ("chr1.vcf.gz", "chr1.imputed.vcf.gz", ".command.sh", "x.tmp")}  # fmt: skip
    (item,) = await adapter.outputs(run.run_id)
    assert item.held_at == "file:///scratch/work/ab/chr1.imputed.vcf.gz"
    with pytest.raises(RemoteNotFound, match="held at the service"):
        await fetched(adapter, item)


async def test_outputs_when_none_are_looked_for_then_nothing_is_asked(
    sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO, outputs={"mode": "none"})
    assert await adapter.outputs("r1") == ()
    assert adapter.capabilities.needs_results is False
    pushes = at(sapporo.url, SAPPORO, params={"up": "{upload_url}"})
    assert pushes.capabilities.upload_links
    assert not pushes.capabilities.needs_results
    assert not sapporo.requests


async def test_outputs_when_names_are_hostile_then_left_out(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    run.state = "COMPLETE"
    run.outputs = json.loads(
        '[{"file_name":"../../x","file_url":"http://x/1"},{"file_name":"/etc/passwd","file_url":"file:///etc/passwd"},'
        '{"file_name":"a\\u0000b","file_url":"http://x/2"},{"file_name":"ok.vcf.gz","file_url":"file:///etc/shadow"}]'
    )
    (item,) = await adapter.outputs(run.run_id)
    assert (item.name, item.address, item.held_at) == ("ok.vcf.gz", "", "file:///etc/shadow")
