"""What a job leaves over HTTP: its results as one file and one by one, and the remote's log."""

import io
import zipfile
from typing import Any

from app.core.models import Job
from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.jobs import RESULTS, complete, finish
from tests.support.people import Person

JSON = {"Accept": "application/json"}


async def test_results_when_the_job_is_not_completed_then_404_says_why(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    path = f"/jobs/{job.id}/results"
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        (
            "failed",
            {"error_message": "no chunks passed", "error_action": "Do this."},
            "no_results",
            "no chunks passed",
        ),
        ("cancelled", {}, "no_results", "cancelled"),
        ("completed", {}, "results_deleted", "no longer stored"),
    ]
    open_one = await client.get(path, as_=alice)
    assert (open_one.status, open_one.json()["code"]) == (404, "results_not_ready")
    assert "queued" in open_one.json()["message"]
    for status, columns, code, words in cases:
        await finish(deps, job, status, **columns)
        answer = await client.get(path, as_=alice, headers=JSON)
        assert (answer.status, answer.json()["code"]) == (404, code)
        assert words in answer.json()["message"]
    assert (await client.head(path, as_=alice)).status == 404


async def test_results_when_fetched_as_curl_does_then_is_the_zip(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    await complete(deps, job)
    answer = await client.get(f"/jobs/{job.id}/results", as_=alice)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="cohort-results.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == RESULTS
    head = await client.head(f"/api/jobs/{job.id}/results", as_=alice)
    assert head.headers["Content-Length"] == str(len(answer.body))
    part = await client.get(
        f"/jobs/{job.id}/results",
        as_=alice,
        headers={"Range": "bytes=100-", "If-Range": answer.headers["ETag"]},
    )
    assert (part.status, part.body) == (206, answer.body[100:])


async def test_results_when_json_is_asked_for_then_says_where_everything_is(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    await complete(deps, job)
    told = (await client.get(f"/jobs/{job.id}/results", as_=alice, headers=JSON)).json()
    assert set(told) == {
        "job_id", "job_name", "file_id", "filename", "file_size", "download_url", "created_at", "message", "files",
        "held_files",
    }  # fmt: skip
    assert (told["job_id"], told["job_name"]) == (str(job.id), "cohort")
    assert told["filename"] == "cohort-results.zip"
    assert {item["name"]: item["size"] for item in told["files"]} == {
        name: len(data) for name, data in RESULTS.items()
    }
    assert told["download_url"].startswith("http://platform.test/files/download/")
    path = told["download_url"].removeprefix("http://platform.test")
    linked = await client.get(path)
    assert (linked.status, len(linked.body)) == (200, told["file_size"])
    direct = await client.get(f"/files/{told['file_id']}/download", as_=alice)
    assert direct.body == linked.body
    one = told["files"][0]
    path = one["download_url"].removeprefix("http://platform.test")
    assert (await client.get(path)).status == 401
    assert (await client.get(path, as_=alice)).body == RESULTS[one["name"]]


async def test_files_when_listed_then_shows_each_with_its_role(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    await complete(deps, job)
    listed = (await client.get(f"/jobs/{job.id}/files", as_=alice)).json()
    assert [(item["role"], item["name"]) for item in listed] == [
        ("input", "cohort.vcf.gz"),
        ("result", "chr20.dose.vcf.gz"),
        ("result", "chr20.info.gz"),
        ("qc", "statistics/snps-excluded.txt"),
        ("qc", "quality-control.html"),
        ("archive", "cohort-results.zip"),
    ]
    assert listed[0]["sha256"]


async def test_download_when_a_result_is_html_then_it_is_boxed_in(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    await complete(deps, job)
    listed = (await client.get(f"/jobs/{job.id}/files", as_=alice)).json()
    report = next(item for item in listed if item["name"].endswith(".html"))
    answer = await client.get(f"/files/{report['file_id']}/download", as_=alice)
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")


async def test_logs_when_the_remote_said_something_then_shows_it_redacted(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    await deps.pool.execute(
        "insert into job_messages values ($1, 0, 'Export', 'ok', 'The password for the imputation results is: hunter2hunter2')",
        job.id,
    )
    await finish(
        deps, job, "failed", error_message="No chunks passed", error_action="Use more SNPs."
    )
    answer = await client.get(f"/jobs/{job.id}/logs", as_=alice)
    log = answer.json()
    assert "hunter2" not in answer.text
    assert (log["reason"], log["action"]) == ("No chunks passed", "Use more SNPs.")
    assert log["messages"][0]["text"] == "cohort.vcf.gz: chromosome 20, 2 samples, 3 variants"
    assert any(item["level"] == "warning" for item in log["messages"])
    assert log["messages"][-1]["step"] == "Export"
