"""The sandbox's WES: what runs come to, what is refused, and what is shown to whom."""

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig
from tests.sandbox.support import User, serving
from tests.sandbox.wes import Depot, WesUser, open_depot


@pytest.fixture
def wes(server: tuple[web.Application, str], session: aiohttp.ClientSession) -> WesUser:
    return WesUser(session, server[1], "alice-token")


@pytest.fixture
async def depot() -> AsyncIterator[Depot]:
    async with open_depot() as depot:
        yield depot


async def test_service_info_when_nobody_is_signed_in_then_it_answers_what_is_offered(
    server: tuple[web.Application, str], session: aiohttp.ClientSession
) -> None:
    info = await WesUser(session, server[1], None).get("/service-info")
    assert info["workflow_type_versions"] == {"NFL": {"workflow_type_version": ["DSL2"]}}
    assert info["supported_wes_versions"] == ["1.1.0"]
    assert "h3africa-sandbox" in info["tags"]["panels"].split()


async def test_run_when_the_file_is_attached_then_results_are_plain_files(
    wes: WesUser, vcf: Path
) -> None:
    run = await wes.finish(await wes.submit(vcf))
    assert run["state"] == "COMPLETE"
    assert run["run_log"]["exit_code"] == 0
    assert run["request"]["tags"] == {"platform_job_id": "fi-1"}
    outputs = {o["file_name"]: o["file_url"] for o in run["outputs"]}
    wanted = {"chr20.dose.vcf.gz", "chr20.info.gz", "quality-control.html", "qc_report.txt"}
    assert wanted <= set(outputs)
    assert not any(name.endswith(".zip") for name in outputs)
    async with wes.session.get(outputs["chr20.dose.vcf.gz"], headers=wes.headers) as response:
        whole = await response.read()
        assert "Content-Encoding" not in response.headers
    assert gzip.decompress(whole).startswith(b"##fileformat=VCF")
    part = {**wes.headers, "Range": "bytes=5-9"}
    async with wes.session.get(outputs["chr20.dose.vcf.gz"], headers=part) as response:
        assert response.status == 206
        assert await response.read() == whole[5:10]


async def test_run_when_the_input_is_a_link_then_it_is_fetched_and_results_are_pushed(
    wes: WesUser, vcf: Path, depot: Depot
) -> None:
    depot.files["chr20.vcf.gz"] = vcf.read_bytes()
    link = f"{depot.url}/in/secret-of-a-link/chr20.vcf.gz"
    push = f"{depot.url}/out/secret-of-a-link"
    run = await wes.finish(await wes.submit(params={"input": link, "upload_url": push}))
    assert run["state"] == "COMPLETE"
    assert [call.split()[0] for call in depot.calls] == ["HEAD", "GET"]
    assert set(depot.pushed) == {o["file_name"] for o in run["outputs"]}
    assert gzip.decompress(depot.pushed["chr20.dose.vcf.gz"]).startswith(b"##fileformat=VCF")


async def test_run_when_the_link_is_dead_then_the_run_fails_without_telling_the_link(
    wes: WesUser, depot: Depot
) -> None:
    link = f"{depot.url}/in/secret-of-a-link/chr20.vcf.gz"
    run = await wes.finish(await wes.submit(params={"input": link}))
    assert (run["state"], run["run_log"]["exit_code"]) == ("EXECUTOR_ERROR", 1)
    assert "Can't stage file chr20.vcf.gz -- status 404" in run["run_log"]["stderr"]
    assert "secret-of-a-link" not in run["run_log"]["stderr"]
    assert run["outputs"] == []


async def test_run_when_a_result_is_not_taken_then_the_run_fails(
    wes: WesUser, vcf: Path, depot: Depot
) -> None:
    depot.put_status = 409
    run = await wes.finish(
        await wes.submit(vcf, params={"upload_url": f"{depot.url}/out/secret-of-a-link"})
    )
    assert run["state"] == "EXECUTOR_ERROR"
    assert "Failed to publish file" in run["run_log"]["stderr"]


async def test_run_when_the_input_is_larger_than_allowed_then_it_fails(
    config: SandboxConfig, session: aiohttp.ClientSession, vcf: Path, depot: Depot
) -> None:
    depot.files["chr20.vcf.gz"] = vcf.read_bytes()
    link = f"{depot.url}/in/secret-of-a-link/chr20.vcf.gz"
    async with serving(replace(config, upload_limit_bytes=100)) as (_, base):
        wes = WesUser(session, base, "alice-token")
        run = await wes.finish(await wes.submit(params={"input": link}, multipart=False))
    assert "too large" in run["run_log"]["stderr"]


async def test_run_when_the_panel_or_the_data_is_wrong_then_stderr_says_so(
    wes: WesUser, vcf: Path
) -> None:
    run = await wes.finish(await wes.submit(vcf, params={"panel": "no-such-panel"}))
    assert run["state"] == "EXECUTOR_ERROR"
    assert "no-such-panel" in run["run_log"]["stderr"]
    run = await wes.finish(await wes.submit(vcf, params={"population": "martian"}))
    assert "Population 'martian' is not supported" in run["run_log"]["stderr"]
    tasks = await wes.get(f"/runs/{run['run_id']}/tasks")
    assert tasks["task_logs"][0]["exit_code"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"workflow_type": "CWL"},
        {"workflow_type": None},
        {"workflow_type_version": "DSL1"},
        {"workflow_url": "https://elsewhere.example/run.nf"},
        {"workflow_engine": "cromwell"},
        {"workflow_engine_version": "sandbox"},
        {"workflow_params": "not json"},
        {"workflow_params": '["a", "list"]'},
        {"workflow_params": '{"input": 7, "panel": "x"}'},
        {"workflow_params": "[" * 50_000},
        {"tags": '{"number": 1}'},
        {"surprise": "x"},
        {"params": {"panel": ""}},
        {"params": {"input": ""}},
        {"params": {"input": "another.vcf.gz"}},
        {"params": {"input": "../../etc/passwd"}},
        {"params": {"input": "chr20.vcf.gz chr20.vcf.gz"}},
        {"params": {"input": "file:///etc/passwd"}},
        {"params": {"input": "http://169.254.169.254/latest/chr20.vcf.gz"}},
        {"params": {"input": "http://user@127.0.0.1/x.vcf.gz"}},
        {"params": {"input": "http://127.0.0.1/..%2Fx.vcf.gz"}},
        {"params": {"input": "http://127.0.0.1/"}},
        {"params": {"upload_url": "http://elsewhere.example/"}},
        {"params": {"surprise": "x"}},
    ],
    ids=str,
)
async def test_submit_when_something_is_wrong_then_400_and_no_run(
    wes: WesUser, vcf: Path, change: dict[str, Any]
) -> None:
    status, body = await wes.post(vcf, **change)
    assert (status, body["status_code"]) == (400, 400)
    assert body["msg"]
    assert (await wes.get("/runs"))["runs"] == []


async def test_submit_when_the_body_is_json_then_415(wes: WesUser) -> None:
    status, body = await wes.call("POST", "/runs", json={})
    assert (status, body["status_code"]) == (415, 415)


async def test_submit_when_the_limit_is_reached_then_429(wes: WesUser, vcf: Path) -> None:
    await wes.faults(quota=1, run_s=30)
    await wes.submit(vcf)
    status, _ = await wes.post(vcf)
    assert status == 429


async def test_list_when_paged_then_every_run_is_shown_once_the_newest_first(
    wes: WesUser, vcf: Path
) -> None:
    sent = [
        await wes.submit(vcf, tags=json.dumps({"platform_job_id": f"fi-{i}"})) for i in range(5)
    ]
    seen: list[str] = []
    token = ""
    while True:
        page = await wes.get(f"/runs?page_size=2&page_token={token}")
        seen += [run["run_id"] for run in page["runs"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == sent[::-1]
    found = await wes.get("/runs?tags=platform_job_id:fi-3")
    assert [run["run_id"] for run in found["runs"]] == [sent[3]]
    assert found["runs"][0]["tags"] == {"platform_job_id": "fi-3"}
    for wrong in ("page_size=0", "page_size=x", "page_token=x", "page_token=-1"):
        assert (await wes.call("GET", f"/runs?{wrong}"))[0] == 400


async def test_cancel_when_running_then_canceling_then_canceled(wes: WesUser, vcf: Path) -> None:
    await wes.faults(run_s=30)
    run_id = await wes.submit(vcf)
    await wes.wait_for(run_id, "RUNNING")
    assert await wes.call("POST", f"/runs/{run_id}/cancel") == (200, {"run_id": run_id})
    assert await wes.state(run_id) == "CANCELING"
    assert await wes.wait_for(run_id, "CANCELED")
    status, _ = await wes.call("POST", f"/runs/{run_id}/cancel")
    assert status == 200
    assert await wes.state(run_id) == "CANCELED"


async def test_cancel_when_ignored_then_the_run_completes(wes: WesUser, vcf: Path) -> None:
    await wes.faults(cancel_ignored=True, wait_s=0.3)
    run_id = await wes.submit(vcf)
    assert (await wes.call("POST", f"/runs/{run_id}/cancel"))[0] == 200
    assert (await wes.finish(run_id))["state"] == "COMPLETE"


async def test_runs_when_they_are_anothers_then_they_are_neither_listed_nor_shown(
    server: tuple[web.Application, str],
    session: aiohttp.ClientSession,
    wes: WesUser,
    user: User,
    vcf: Path,
) -> None:
    run_id = await wes.submit(vcf)
    await wes.finish(run_id)
    bob = WesUser(session, server[1], "bob-token")
    for method, path in (
        ("GET", ""),
        ("GET", "/status"),
        ("GET", "/tasks"),
        ("GET", "/outputs/chr20.info.gz"),
        ("POST", "/cancel"),
    ):
        assert (await bob.call(method, f"/runs/{run_id}{path}"))[0] == 403
        nobody = WesUser(session, server[1], None)
        assert (await nobody.call(method, f"/runs/{run_id}{path}"))[0] == 401
        stranger = WesUser(session, server[1], "no-token-of-ours")
        assert (await stranger.call(method, f"/runs/{run_id}{path}"))[0] == 401
    assert (await bob.get("/runs"))["runs"] == []
    assert (await wes.call("GET", "/runs/00000000-0000-4000-8000-000000000000"))[0] == 404
    # The Cloudgene dialect of the same account does not know it.
    assert (await user.get(f"/api/v2/jobs/{run_id}"))[0] == 404
    assert (await user.get("/api/v2/jobs"))[1]["data"] == []


async def test_outputs_when_the_name_climbs_then_404(wes: WesUser, vcf: Path) -> None:
    run_id = await wes.submit(vcf)
    await wes.finish(run_id)
    for name in ("..%2Fjob.json", "..%2F..%2Faccounts%2Falice.json", "%2Fetc%2Fpasswd", "x"):
        assert (await wes.call("GET", f"/runs/{run_id}/outputs/{name}"))[0] == 404


async def test_runs_when_no_token_is_asked_for_then_everybody_sees_them(
    config: SandboxConfig, session: aiohttp.ClientSession, vcf: Path
) -> None:
    async with serving(replace(config, wes_auth=False)) as (_, base):
        wes = WesUser(session, base, None)
        assert (await wes.finish(await wes.submit(vcf)))["state"] == "COMPLETE"


async def test_restart_when_a_run_was_open_then_system_error(
    config: SandboxConfig, session: aiohttp.ClientSession, vcf: Path
) -> None:
    async with serving(config) as (_, base):
        wes = WesUser(session, base, "alice-token")
        done = await wes.submit(vcf)
        await wes.finish(done)
        await wes.faults(run_s=30)
        open_run = await wes.submit(vcf)
        await wes.wait_for(open_run, "RUNNING")
    async with serving(config) as (_, base):
        wes = WesUser(session, base, "alice-token")
        run = await wes.finish(open_run)
        assert run["state"] == "SYSTEM_ERROR"
        assert "restarted" in run["run_log"]["stderr"]
        run = await wes.finish(done)
        assert run["state"] == "COMPLETE"
        assert run["outputs"]


async def test_faults_when_submissions_fail_after_the_run_was_made_then_it_is_counted(
    wes: WesUser, vcf: Path
) -> None:
    await wes.faults(lose_submit_answer_n=1, fail_submit_after_n=1)
    with pytest.raises(aiohttp.ClientError):
        await wes.post(vcf)
    status, body = await wes.post(vcf)
    assert (status, body["status_code"]) == (500, 500)
    await wes.submit(vcf)
    stats = await wes.stats()
    assert stats["jobs_by_name"] == {"fi-1": 3}
    assert stats["answers_lost"] == 1


async def test_faults_when_runs_are_hidden_then_as_the_switches_say(
    wes: WesUser, vcf: Path
) -> None:
    await wes.faults(wes_unlisted="open", run_s=30)
    run_id = await wes.submit(vcf)
    assert (await wes.get("/runs"))["runs"] == []
    await wes.faults(wes_missing_n=1, wes_short_list=True, run_s=30)
    assert (await wes.call("GET", f"/runs/{run_id}/status"))[0] == 404
    assert (await wes.call("GET", f"/runs/{run_id}/status"))[0] == 200
    (row,) = (await wes.get("/runs"))["runs"]
    assert set(row) == {"run_id", "state"}
    await wes.faults(wes_drop_tags=True, run_s=30)
    untagged = await wes.submit(vcf)
    assert (await wes.get(f"/runs/{untagged}"))["request"]["tags"] == {}


async def test_faults_when_on_the_wire_then_they_strike_this_dialect_too(wes: WesUser) -> None:
    await wes.faults(reject_all=500)
    assert await wes.call("GET", "/runs") == (
        500,
        {"msg": "Internal Server Error", "status_code": 500},
    )
    await wes.faults(answer="html_502", only="/ga4gh/")
    status, text = await wes.call("GET", "/service-info")
    assert status == 502
    assert "<html>" in text
    await wes.faults(maintenance=True)
    assert (await wes.call("GET", "/runs"))[0] == 503
    await wes.faults(drop_answer_n=2)  # the client tries a GET twice
    with pytest.raises(aiohttp.ClientError):
        await wes.call("GET", "/runs")


async def test_faults_when_transfers_are_cut_then_the_body_is_short_of_its_length(
    wes: WesUser, vcf: Path
) -> None:
    run = await wes.finish(await wes.submit(vcf))
    await wes.faults(truncate_download_n=1)
    with pytest.raises(aiohttp.ClientError):
        async with wes.session.get(run["outputs"][0]["file_url"], headers=wes.headers) as response:
            await response.read()
