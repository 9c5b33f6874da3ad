"""The page of a job over plain HTTP: what it shows, whose it is, the report's frame, the script that fetches results."""

import asyncio
import os
from datetime import timedelta
from html import unescape
from pathlib import Path
from uuid import uuid4

import pytest

from app.core.models import Job
from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.jobs import RESULTS, Desk, complete, finish, make_desk, submitted
from tests.support.people import Person

HOSTILE = "</h1><script>alert(1)</script> \"' " + "x" * 100


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice, country="South Africa")


@pytest.fixture
async def job(deps: Deps, client: Api, alice: Person, desk: Desk) -> Job:
    return await submitted(deps, client, alice, desk, name="chr20.vcf.gz")


async def hold(deps: Deps, job: Job, **columns: object) -> None:
    settings = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await deps.pool.execute(
        f"update imputation_jobs set {settings} where id = $1", job.id, *columns.values()
    )


async def test_page_when_the_job_is_open_then_says_what_happens_and_follows_it(
    client: Api, alice: Person, job: Job
) -> None:
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text

    assert "They are sent to" in text
    assert "You need not do anything" in text
    assert f'hx-trigger="job:{job.id} from:body' in text
    assert '<noscript><meta http-equiv="refresh"' in text
    assert f'href="/ui/jobs/{job.id}/cancel"' in text
    assert "South Africa" in text
    assert "Input check" in text
    assert "style=" not in text


async def test_live_when_nothing_changed_then_answers_nothing(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    part = await client.get(f"/ui/jobs/{job.id}/live", as_=alice)
    assert part.status == 200
    assert "<html" not in part.text
    seen = part.text.partition('name="seen" value="')[2].partition('"')[0]

    again = await client.get(f"/ui/jobs/{job.id}/live?seen={seen}", as_=alice)
    assert (again.status, again.body) == (204, b"")
    await finish(deps, job, updated_at=deps.now())
    ended = await client.get(f"/ui/jobs/{job.id}/live?seen={seen}", as_=alice)
    assert "The job failed" in ended.text
    assert ended.status == 286, "htmx asks no more"


@pytest.mark.parametrize(
    "path",
    ["", "/live", "/changes", "/cancel", "/delete", "/retry", "/adopt", "/resubmit", "/report/1"],
)
async def test_job_when_it_is_another_persons_then_it_does_not_exist(
    client: Api, job: Job, bob: Person, admin: Person, path: str
) -> None:
    for person in (bob, admin):
        answer = await client.get(f"/ui/jobs/{job.id}{path}", as_=person)
        assert answer.status == 404
        assert "chr20" not in answer.text


async def test_page_when_nobody_is_signed_in_then_leads_to_the_sign_in(
    client: Api, job: Job
) -> None:
    answer = await client.get(f"/ui/jobs/{job.id}")
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/ui/sign-in?next=")


@pytest.mark.parametrize(
    ("stage", "words", "button"),
    [
        ("credential_needed", "Your credential is needed", "/ui/settings/service-credentials/new"),
        ("decision_needed", "Your decision is needed", "/adopt"),
        ("service_unavailable", "Waiting for", "/cancel"),
        ("waiting_too_long", "Waiting for unusually long", "/cancel"),
        ("results_blocked", "The results cannot be fetched now", "/cancel"),
        ("remote_dead", "was restarted", "/cancel"),
        ("cancelling", "Being cancelled", "/ui/jobs/new?from="),
    ],
)
async def test_page_when_held_then_says_why_and_has_the_button(
    client: Api, deps: Deps, alice: Person, job: Job, stage: str, words: str, button: str
) -> None:
    await hold(deps, job, stage=stage, hold_reason="because of <b>this</b>")
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    assert words in text
    # The standard reason of a long wait says what the words above it say.
    assert ("because of &lt;b&gt;this" in text) is (stage != "waiting_too_long")
    assert "<b>this" not in text
    assert button in text


async def test_page_when_completed_then_lists_results_by_kind_with_sums_and_script(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    done = await complete(deps, job)
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text

    for words in ("The results are here", "Imputed genotypes", "Excluded variants", "Plots"):
        assert words in text
    for name in RESULTS:
        assert name in text
    assert f'href="/files/{done.results_file_id}/download"' in text
    assert "FIP_TOKEN" in text
    assert "sandbox loading=" in text
    assert "<noscript>" not in text
    assert "<script>alert(1)" not in text


async def test_page_when_names_are_hostile_then_they_are_text(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await complete(deps, job, {"chr<img src=x onerror=alert(1)>.dose.vcf.gz": b"x"})
    await hold(deps, job, name=HOSTILE, description=HOSTILE, external_job_id=HOSTILE)
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    assert "<script>alert" not in text
    assert "<img" not in text


async def test_page_when_failed_then_explains_and_says_what_helps(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    failed = {"error_code": "strand_flips", "error_message": "Sandbox: More than 100 flips"}
    await finish(deps, job, **failed, error_action="Align the alleles")
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    for words in ("on the other strand", "More than 100 flips", "Align the alleles", "Retry"):
        assert words in text
    assert f'/ui/jobs/new?from={job.id}">' in text

    await deps.pool.execute("delete from files where kind = 'input'")
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    assert "no longer stored" in text
    assert f'href="/ui/jobs/{job.id}/retry"' not in text


async def test_page_when_results_stayed_at_the_service_then_says_where(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await finish(deps, job, "completed", results_held=1)
    await deps.pool.execute(
        "insert into job_outputs (job_id, key, name, role, held_at)"
        " values ($1, 'k', 'chr20.dose.vcf.gz', 'result', 'file:///scratch/run/chr20.dose.vcf.gz')",
        job.id,
    )
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    assert "Still at the service" in text
    assert "/scratch/run/chr20.dose.vcf.gz" in text


async def test_changes_when_there_are_many_then_the_page_shows_some_and_the_rest_is_paged(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await deps.pool.executemany(
        "insert into job_status_updates (job_id, user_id, status, progress_percentage, message, timestamp)"
        " values ($1, $2, 'running', 20, $3, $4)",
        [
            (job.id, alice.id, f"step <{place}>", deps.now() + timedelta(minutes=place))
            for place in range(150)
        ],
    )
    text = (await client.get(f"/ui/jobs/{job.id}", as_=alice)).text
    assert text.count("step &lt;") == 12
    assert "All 152 changes" in text

    first = (await client.get(f"/ui/jobs/{job.id}/changes", as_=alice)).text
    assert first.count("step &lt;") == 100
    assert "after 1 min" in first
    last = (await client.get(f"/ui/jobs/{job.id}/changes?offset=100", as_=alice)).text
    assert "Job created" in last
    for nonsense in (
        "offset=-1",
        "offset=zz",
        "offset=99999999999999999999",
        "limit=x",
        "offset=²",
    ):
        answer = await client.get(f"/ui/jobs/{job.id}/changes?{nonsense}", as_=alice)
        assert answer.status == 200, nonsense


async def test_report_when_framed_then_it_can_do_nothing(
    client: Api, deps: Deps, alice: Person, job: Job, bob: Person
) -> None:
    await complete(deps, job)
    files = await deps.pool.fetch("select file_id, name from job_files where job_id = $1", job.id)
    ids = {row["name"]: row["file_id"] for row in files}
    report = f"/ui/jobs/{job.id}/report/{ids['quality-control.html']}"

    answer = await client.get(report, as_=alice)
    assert answer.body == RESULTS["quality-control.html"]
    policy = answer.headers["Content-Security-Policy"]
    assert policy == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
    )
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("inline")

    kept = {"If-None-Match": answer.headers["ETag"]}
    again = await client.get(report, as_=alice, headers=kept)
    assert again.status == 304
    assert again.headers["Content-Security-Policy"] == policy, "or a browser would refuse the frame"
    assert again.headers["X-Frame-Options"] == "SAMEORIGIN"

    assert (await client.get(report, as_=bob)).status == 404
    for other in ("chr20.info.gz", "statistics/snps-excluded.txt", "chr20.vcf.gz"):
        answer = await client.get(f"/ui/jobs/{job.id}/report/{ids.get(other, 1)}", as_=alice)
        assert answer.status == 404, other
    assert (await client.get(f"/ui/jobs/{uuid4()}/report/1", as_=alice)).status == 404


async def run(script: str, folder: Path, **env: str) -> tuple[int, str]:
    """Paste a script into a shell."""
    folder.mkdir(exist_ok=True)
    shell = await asyncio.create_subprocess_exec(
        "sh", cwd=folder, env={**os.environ, **env}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, _ = await shell.communicate(script.encode())
    return shell.returncode or 0, out.decode()


def script_of(text: str) -> str:
    return unescape(text.partition('id="script-text">')[2].partition("</code>")[0])


async def test_script_when_pasted_then_fetches_and_verifies_every_file(
    client: Api, deps: Deps, alice: Person, job: Job, tmp_path: Path
) -> None:
    files = {**RESULTS, 'chr20 it\'s $(odd) `x` "q".info.gz': b"odd"}
    await complete(deps, job, files)
    page = await client.get(f"/ui/jobs/{job.id}", as_=alice)
    script = script_of(page.text).replace("http://platform.test", client.base)

    code, out = await run(script, tmp_path / "none")
    assert code != 0
    assert "Set it first" in out
    for _ in range(2):  # again: what is here is not fetched once more, and still verified
        code, out = await run(script, tmp_path / "signed-in", FIP_TOKEN=alice.token)
        assert code == 0, out
        assert "Every file is whole" in out
    fetched = {
        path.relative_to(next((tmp_path / "signed-in").glob("*/"))).as_posix(): path.read_bytes()
        for path in (tmp_path / "signed-in").rglob("*")
        if path.is_file() and path.suffix != ".zip"
    }
    assert fetched == files

    spoiled = next((tmp_path / "signed-in").glob("*.zip"))
    data = bytearray(spoiled.read_bytes())
    data[data.index(b"dosages")] ^= 1
    spoiled.write_bytes(data)
    code, out = await run(script, tmp_path / "signed-in", FIP_TOKEN=alice.token)
    assert code != 0, out


async def test_script_when_made_with_a_link_then_needs_no_token(
    client: Api, deps: Deps, alice: Person, bob: Person, job: Job, tmp_path: Path
) -> None:
    assert (await client.post(f"/ui/jobs/{job.id}/script", as_=alice)).status == 404
    await complete(deps, job)
    assert (await client.post(f"/ui/jobs/{job.id}/script", as_=bob)).status == 404
    answer = await client.post(f"/ui/jobs/{job.id}/script", as_=alice)
    assert answer.headers["Cache-Control"] == "no-store"

    script = script_of(answer.text).replace("http://platform.test", client.base)
    code, out = await run(script, tmp_path / "linked")
    assert code == 0, out
    assert "Every file is whole" in out
