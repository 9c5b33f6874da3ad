"""What a WES server of other people really sends: what the WES adapter takes for granted of Toil is so in the version tested with.

Should one of these fail after an upgrade, the adapter has to be looked at before the test.
"""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import aiohttp
import msgspec
import pytest

from tests.support.toil import WORKFLOW, Toil

RUN_S = 90.0
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n20\t1000\t.\tA\tG\t.\t.\t.\n"
RETRY_NOTHING = '{"--retryCount": "0"}'


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Calls Toil over HTTP."""
    # A new connection for each call: what becomes of kept ones is tried below.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        yield session


async def answer(response: aiohttp.ClientResponse, status: int = 200) -> Any:
    """Give the decoded answer of that status."""
    body = await response.read()
    assert response.status == status, body
    return msgspec.json.decode(body)


async def submit(
    session: aiohttp.ClientSession, toil: Toil, hold: Path, ending: str = "complete", tag: str = ""
) -> str:
    """Start a run, as the adapter does; give its id."""
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    params = {
        "hold": str(hold),
        "ending": ending,
        "panel": "h3africa",
        "job_id": tag,
        "input_vcf": {"class": "File", "location": "chr20.vcf.gz"},
    }
    form.add_field("workflow_params", msgspec.json.encode(params).decode())
    form.add_field("workflow_type", "CWL")
    form.add_field("workflow_type_version", "v1.2")
    form.add_field("workflow_url", WORKFLOW.name)
    form.add_field("workflow_engine_parameters", RETRY_NOTHING)
    form.add_field("tags", msgspec.json.encode({"platform_job_id": tag}).decode())
    for name, body in (
        (WORKFLOW.name, WORKFLOW.read_bytes()),
        ("chr20.vcf.gz", gzip.compress(VCF.encode())),
    ):
        form.add_field("workflow_attachment", body, filename=name)
    async with session.post(f"{toil.base}/runs", data=form) as response:
        created = await answer(response)
    assert set(created) == {"run_id"}
    return str(created["run_id"])


async def states_until(
    session: aiohttp.ClientSession, toil: Toil, run_id: str, holds: Callable[[str], bool]
) -> list[str]:
    """Follow a run until something holds of its state; give the different states on the way."""
    states: list[str] = []
    async with asyncio.timeout(RUN_S):
        while not states or not holds(states[-1]):
            await asyncio.sleep(0.1)
            async with session.get(f"{toil.base}/runs/{run_id}/status") as response:
                status = await answer(response)
            assert status["run_id"] == run_id
            if status["state"] not in states[-1:]:
                states.append(status["state"])
    return states


def is_final(state: str) -> bool:
    """Whether Toil's word is an end."""
    return state in {"COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED"}


async def cancel(session: aiohttp.ClientSession, toil: Toil, run_id: str, status: int = 200) -> Any:
    """Ask Toil to end a run; give its answer, which has that status."""
    # It refuses the content type that aiohttp names for an empty body, so none may be named.
    async with session.post(
        f"{toil.base}/runs/{run_id}/cancel", skip_auto_headers=["Content-Type"]
    ) as response:
        return await answer(response, status)


async def stderr_of(session: aiohttp.ClientSession, toil: Toil, run: dict[str, Any]) -> str:
    """Fetch the log that a run names, relative to the run's own address."""
    link = urljoin(f"{toil.base}/runs/{run['run_id']}", run["run_log"]["stderr"])
    async with session.get(link) as response:
        assert response.status == 200
        return await response.text()


async def test_service_info_when_read_then_it_names_toil_and_the_types(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    async with session.get(f"{toil.base}/service-info") as response:
        info = await answer(response)

    assert info["workflow_engine_versions"] == {"toil": "9.6.0"}
    assert "v1.2" in info["workflow_type_versions"]["cwl"]["workflow_type_version"]
    assert info["supported_wes_versions"] == ["1.0.0"]


async def test_run_when_complete_then_the_outputs_are_files_with_size_and_checksum(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    tag = uuid4().hex
    hold = toil.hold(tag)
    run_id = await submit(session, toil, hold, tag=tag)

    before = await states_until(session, toil, run_id, lambda state: state == "RUNNING")
    assert set(before) <= {"QUEUED", "INITIALIZING", "RUNNING"}
    async with session.get(f"{toil.base}/runs/{run_id}") as response:
        unfinished = await answer(response)
    assert unfinished["outputs"] == {}
    assert unfinished["request"]["tags"] == {"platform_job_id": tag}
    assert unfinished["request"]["workflow_params"]["job_id"] == tag

    hold.unlink()
    assert (await states_until(session, toil, run_id, is_final))[-1] == "COMPLETE"
    async with session.get(f"{toil.base}/runs/{run_id}") as response:
        run = await answer(response)
    assert run["run_log"]["exit_code"] == 0
    output = run["outputs"]["imputed_vcf"]
    path = toil.work_dir / run_id / "outputs" / "imputed.vcf.gz"
    made = path.read_bytes()
    assert output["class"] == "File"
    assert output["basename"] == "imputed.vcf.gz"
    assert output["location"] == f"file://{path}"
    assert output["size"] == len(made)
    assert output["checksum"] == f"sha1${hashlib.sha1(made).hexdigest()}"
    assert gzip.decompress(made).decode() == VCF.replace(
        "#CHROM", "##imputed_with=h3africa\n#CHROM"
    )
    assert run["outputs"]["report"]["basename"] == "report.html"


async def test_run_when_its_tool_fails_then_it_is_an_executor_error_and_the_log_says_why(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    tag = uuid4().hex
    run_id = await submit(session, toil, toil.hold(tag, closed=False), "fail", tag)

    assert (await states_until(session, toil, run_id, is_final))[-1] == "EXECUTOR_ERROR"
    async with session.get(f"{toil.base}/runs/{run_id}") as response:
        run = await answer(response)
    assert run["outputs"] == {}
    assert run["run_log"]["exit_code"] == 1
    assert "\tError: no variant of the panel is in the input\n" in await stderr_of(
        session, toil, run
    )
    assert (await cancel(session, toil, run_id, 403))["status_code"] == 403


async def test_run_when_cancelled_then_it_is_canceling_and_then_canceled(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    tag = uuid4().hex
    hold = toil.hold(tag)
    run_id = await submit(session, toil, hold, tag=tag)
    await toil.until_met(hold)

    async with session.post(f"{toil.base}/runs/{run_id}/cancel", data=b"") as response:
        refused = await answer(response, 415)
    assert "application/octet-stream" in refused["detail"]
    assert await cancel(session, toil, run_id) == {"run_id": run_id}
    states = await states_until(session, toil, run_id, is_final)

    assert states[-1] == "CANCELED"
    assert set(states) <= {"RUNNING", "CANCELING", "CANCELED"}


async def test_list_when_read_then_it_is_called_workflows_and_has_ids_and_states_only(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    tag = uuid4().hex
    run_id = await submit(session, toil, toil.hold(tag, closed=False), tag=tag)

    async with session.get(f"{toil.base}/runs", params={"page_size": "1"}) as response:
        listed = await answer(response)
    assert set(listed) == {"workflows", "next_page_token"}
    assert listed["next_page_token"] == ""
    assert [set(row) for row in listed["workflows"]] == [{"run_id", "state"}] * len(
        listed["workflows"]
    )
    assert run_id in [row["run_id"] for row in listed["workflows"]]
    assert [run["run_id"] for run in toil.runs_on(toil.hold(tag, closed=False))] == [run_id]
    await states_until(session, toil, run_id, is_final)


@pytest.mark.parametrize("kind", ["urlencoded", "json"])
async def test_submission_when_not_multipart_then_it_is_refused(
    session: aiohttp.ClientSession, toil: Toil, kind: str
) -> None:
    fields = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": "a.cwl"}
    body: dict[str, Any] = {"data": fields} if kind == "urlencoded" else {"json": fields}

    async with session.post(f"{toil.base}/runs", **body) as response:
        refused = await answer(response, 415)
    assert refused["title"] == "Unsupported Media Type"


async def test_run_when_its_id_is_unknown_then_it_is_not_found(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    async with session.get(f"{toil.base}/runs/run-{uuid4().hex}/status") as response:
        refused = await answer(response, 404)
    assert refused["status_code"] == 404
    assert "msg" in refused


async def test_connection_when_kept_idle_over_a_submission_then_nobody_answers_on_it(
    session: aiohttp.ClientSession, toil: Toil
) -> None:
    tag = uuid4().hex
    hold = toil.hold(tag)
    async with aiohttp.ClientSession() as keeping:
        async with keeping.get(f"{toil.base}/service-info") as response:
            await answer(response)
        run_id = await submit(session, toil, hold, tag=tag)
        # The server closes what is idle for two seconds, but the run's process, which it forked, has the connection too:
        # the client sees no end of it.
        await asyncio.sleep(4)
        with pytest.raises(TimeoutError):
            await keeping.get(f"{toil.base}/service-info", timeout=aiohttp.ClientTimeout(total=5))
    async with session.get(f"{toil.base}/service-info") as response:
        await answer(response)
    hold.unlink()
    await states_until(session, toil, run_id, is_final)
