"""Sending a job: what arrives, and what each kind of end is taken for."""

import hashlib
import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from app.adapters.base import (
    AdapterError,
    Credential,
    CredentialRejected,
    DoubtfulSubmission,
    InputFile,
    QuotaFull,
    Rejected,
    ServiceUnavailable,
    Submission,
)
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.opening import open_adapter
from app.adapters.transport import Transport
from tests.adapters.conftest import PASSWORD, ignore, make_submission, michigan, patient
from tests.fakes.cloudgene import GOOD_TOKEN, REVOKED_TOKEN, SUBMIT, FakeCloudgene
from tests.fakes.cloudgene_form import APP, PANEL
from tests.fakes.recording import (
    GARBAGE,
    HTML_200,
    HTML_502,
    NOTHING,
    Behaviour,
    answer,
    endless,
    half_an_answer,
    never_read,
    read_then_reset,
    redirect,
    reset,
    reset_after,
    silent,
)


async def test_submit_when_all_is_well_then_exactly_the_form_arrives(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    told: list[int] = []
    remote_id = await adapter.submit(submission, told.append)
    assert list(cloudgene.jobs) == [remote_id]
    (upload,) = cloudgene.uploads
    assert upload.text == {
        "job-name": "fi-3f0c",
        "refpanel": PANEL,
        "build": "hg19",
        "phasing": "eagle",
        "population": "afr",
        "mode": "imputation",
        "aesEncryption": "true",
        "password": PASSWORD,
    }
    for item in submission.files:
        digest = hashlib.sha256(item.path.read_bytes()).hexdigest()
        assert upload.files[item.name] == ("files", item.size_bytes, digest)
    assert told[-1] == sum(item.size_bytes for item in submission.files)
    (request,) = cloudgene.seen(SUBMIT)
    assert request.target == SUBMIT + "imputationserver2%402.0.12"
    assert request.headers["User-Agent"] == "fip/test fi-3f0c"
    assert request.headers["X-Auth-Token"] == GOOD_TOKEN
    assert "Content-Length" in request.headers
    assert "Transfer-Encoding" not in request.headers


async def test_submit_when_the_file_is_large_then_its_hash_arrives(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, tmp_path: Path
) -> None:
    path = tmp_path / "big"
    content = os.urandom(5 * 1024 * 1024 + 17)
    path.write_bytes(content)
    files = (InputFile(path, "chr20.vcf.gz", len(content)),)
    await adapter.submit(make_submission(tmp_path, files=files), ignore)
    assert cloudgene.uploads[0].files["chr20.vcf.gz"][1:] == (
        len(content),
        hashlib.sha256(content).hexdigest(),
    )


async def test_submit_when_the_site_lives_under_a_prefix_then_every_call_keeps_it(
    transport: Transport, submission: Submission
) -> None:
    async with FakeCloudgene(prefix="/imputation/server") as server:
        for url in (server.url, server.url + "/"):
            adapter = michigan(transport, url)
            remote_id = await adapter.submit(
                replace(submission, name=f"fi-{len(server.jobs)}"), ignore
            )
            assert (await adapter.status(remote_id)).remote_id == remote_id
        assert all(
            request.path.startswith("/imputation/server/api/v2/") for request in server.requests
        )


async def test_submit_when_a_pinned_version_was_upgraded_away_then_the_newest_is_used(
    transport: Transport, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    adapter = michigan(transport, cloudgene.url, app="imputationserver2@2.0.3")
    await adapter.submit(submission, ignore)
    assert cloudgene.seen(SUBMIT)[0].path == SUBMIT + APP
    other = michigan(transport, cloudgene.url, app="removed@1")
    with pytest.raises(Rejected, match=r"removed@1.* imputationserver2@2\.0\.12"):
        await other.submit(submission, ignore)


async def test_submit_when_no_app_imputes_then_rejected_with_what_there_is(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    cloudgene.apps = ["imputationserver2-hla@2.0.12"]
    with pytest.raises(Rejected, match="imputationserver2-hla"):
        await adapter.submit(submission, ignore)
    assert cloudgene.uploads == []


async def test_submit_when_the_form_cannot_take_it_then_nothing_is_sent(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    for changed in (
        replace(submission, panel_key="nope"),
        replace(submission, population="nope"),
        replace(submission, build="hg18"),
        replace(submission, phasing="shapeit"),
        replace(submission, options={"x": "y"}),
        replace(submission, files=()),
    ):
        with pytest.raises(Rejected):
            await adapter.submit(changed, ignore)
    assert cloudgene.seen(SUBMIT) == []


async def test_submit_when_a_stored_file_is_gone_then_nothing_is_sent(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    submission.files[0].path.unlink()
    with pytest.raises(Rejected, match="missing or has changed"):
        await adapter.submit(submission, ignore)
    assert cloudgene.seen(SUBMIT) == []


@pytest.mark.parametrize("token", ["garbage", REVOKED_TOKEN, None, "with blank"])
async def test_submit_when_the_token_is_bad_then_credential_rejected_before_the_upload(
    transport: Transport, cloudgene: FakeCloudgene, submission: Submission, token: str | None
) -> None:
    with pytest.raises(CredentialRejected):
        await michigan(transport, cloudgene.url, token).submit(submission, ignore)
    assert cloudgene.seen(SUBMIT) == []


async def test_submit_when_in_maintenance_then_held_before_the_upload(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    cloudgene.maintenance = True
    with pytest.raises(ServiceUnavailable) as caught:
        await adapter.submit(submission, ignore)
    assert caught.value.maintenance
    assert not isinstance(caught.value, DoubtfulSubmission)
    assert [request.path for request in cloudgene.requests] == ["/api/v2/server"]


async def test_submit_when_the_quota_is_full_then_quota_full(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    cloudgene.quota = 0
    with pytest.raises(QuotaFull, match="Only 0 jobs per user"):
        await adapter.submit(submission, ignore)
    assert cloudgene.jobs == {}


async def test_submit_when_the_app_does_not_know_the_password_field_then_rejected(
    transport: Transport, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    adapter = michigan(transport, cloudgene.url, extra_fields={"unheard-of": "1"})
    with pytest.raises(Rejected, match="Parameter 'unheard-of' not found"):
        await adapter.submit(submission, ignore)


ENDS: list[tuple[str, Behaviour, type[AdapterError]]] = [
    ("reset at once", reset, DoubtfulSubmission),
    ("reset in the midst", reset_after(1000), DoubtfulSubmission),
    ("reset after the body", read_then_reset, DoubtfulSubmission),
    ("half an answer", half_an_answer, DoubtfulSubmission),
    ("no answer", silent, DoubtfulSubmission),
    ("body not taken", never_read, DoubtfulSubmission),
    ("nothing", NOTHING, DoubtfulSubmission),
    ("garbage", GARBAGE, DoubtfulSubmission),
    ("html 200", HTML_200, DoubtfulSubmission),
    ("html 502", HTML_502, DoubtfulSubmission),
    ("endless", endless, DoubtfulSubmission),
    ("500", answer(500, '{"message":"Internal Server Error"}'), DoubtfulSubmission),
    ("503 of a proxy", answer(503, "<h1>503</h1>", "text/html"), DoubtfulSubmission),
    ("504", answer(504), DoubtfulSubmission),
    ("408", answer(408), DoubtfulSubmission),
    ("302", redirect("/"), DoubtfulSubmission),
    ("204", answer(204), DoubtfulSubmission),
    ("id missing", answer(200, '{"success":true}'), DoubtfulSubmission),
    ("id null", answer(200, '{"success":true,"id":null}'), DoubtfulSubmission),
    ("id a number", answer(200, '{"success":true,"id":7}'), DoubtfulSubmission),
    ("id a path", answer(200, '{"success":true,"id":"../../x"}'), DoubtfulSubmission),
    ("id a page", answer(200, '{"success":true,"id":"a b"}'), DoubtfulSubmission),
    ("a list", answer(200, "[]"), DoubtfulSubmission),
    ("java trouble", answer(400, '"java.lang.NullPointerException: null"'), DoubtfulSubmission),
    ("java trouble as text", answer(400, "java.sql.SQLException: x", "text/plain"), DoubtfulSubmission),
    ("400 of a proxy", answer(400, "<h1>400 Bad Request</h1>", "text/html"), DoubtfulSubmission),
    ("success false", answer(200, '{"success":false,"message":"No."}'), Rejected),
    ("quota with 200", answer(200, '{"success":false,"message":"Only 2 jobs per user can be executed simultaneously."}'), QuotaFull),
    ("quota", answer(400, '{"success":false,"message":"Only 2 jobs per user can be executed simultaneously."}'), QuotaFull),
    ("parameter", answer(400, '{"success":false,"message":"Parameter \'x\' not found."}'), Rejected),
    ("app gone", answer(404, '{"success":false,"message":"Application \'x\' not found."}'), Rejected),
    ("404 of a proxy", answer(404, "<h1>Not Found</h1>", "text/html"), ServiceUnavailable),
    ("413", answer(413, '{"message":"too large","_links":{}}'), Rejected),
    ("413 of a proxy", answer(413, "<h1>413</h1>", "text/html"), Rejected),
    ("cg2 too large", answer(400, '{"success":false,"message":"Upload limit reached."}'), Rejected),
    ("415", answer(415, '{"message":"Unsupported"}'), Rejected),
    ("401", answer(401, '{"message":"Unauthorized","_links":{}}'), CredentialRejected),
    ("403", answer(403, '{"message":"Forbidden"}'), CredentialRejected),
    ("429", answer(429, Retry_After="7"), ServiceUnavailable),
    ("maintenance", answer(503, '{"success":false,"message":"This functionality is currently under maintenance."}'), ServiceUnavailable),
]  # fmt: skip


@pytest.mark.parametrize(
    ("behaviour", "kind"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS]
)
async def test_submit_when_it_ends_so_then_taken_for_that(
    transport: Transport,
    hasty: Transport,
    cloudgene: FakeCloudgene,
    submission: Submission,
    tmp_path: Path,
    behaviour: Behaviour,
    kind: type[AdapterError],
) -> None:
    if behaviour is never_read:
        submission = replace(submission, files=(_sparse(tmp_path, 64 * 1024 * 1024),))
    cloudgene.misbehave(behaviour, SUBMIT)
    chosen = patient(behaviour, transport, hasty)
    with pytest.raises(AdapterError) as caught:
        await michigan(chosen, cloudgene.url).submit(submission, ignore)
    assert type(caught.value) is kind
    for secret in (GOOD_TOKEN, PASSWORD, "submit"):
        assert secret not in caught.value.reason
    assert len(cloudgene.seen(SUBMIT)) == 1


def _sparse(folder: Path, size: int) -> InputFile:
    path = folder / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
    return InputFile(path, "chr20.vcf.gz", size)


async def test_submit_when_the_answer_is_lost_then_the_job_is_found_by_its_name(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    began = datetime.now(UTC)
    cloudgene.lose_answers = 1
    with pytest.raises(DoubtfulSubmission):
        await adapter.submit(submission, ignore)
    (found,) = await adapter.find_by_name(submission.name, began)
    assert found.remote_id in cloudgene.jobs


async def test_submit_when_too_large_then_said_in_plain_words(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    cloudgene.misbehave(answer(413), SUBMIT)
    with pytest.raises(Rejected, match="too large"):
        await adapter.submit(submission, ignore)


async def test_submit_when_the_service_is_down_at_each_step_then_not_doubtful(
    hasty: Transport, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    for path in ("/api/v2/server", "/api/v2/server/apps/"):
        for behaviour in (
            HTML_502,
            HTML_200,
            GARBAGE,
            NOTHING,
            reset,
            half_an_answer,
            redirect("http://localhost:1/"),
        ):
            cloudgene.behave()
            cloudgene.misbehave(behaviour, path)
            with pytest.raises(ServiceUnavailable) as caught:
                await michigan(hasty, cloudgene.url).submit(submission, ignore)
            assert type(caught.value) is not DoubtfulSubmission
    assert cloudgene.seen(SUBMIT) == []


async def test_submit_when_the_connection_is_refused_between_form_and_upload_then_not_doubtful(
    transport: Transport, submission: Submission
) -> None:
    async with FakeCloudgene() as server:
        adapter = michigan(transport, server.url)
        await adapter.describe()
    with pytest.raises(ServiceUnavailable, match="cannot be reached") as caught:
        await adapter.submit(submission, ignore)
    assert not isinstance(caught.value, DoubtfulSubmission)


async def test_submit_when_over_tls_then_it_works(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], submission: Submission
) -> None:
    server_side, client_side = tls
    fake = FakeCloudgene()
    app = web.Application(client_max_size=1 << 30)
    fake.build(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_side).start()
    url = f"https://localhost:{runner.addresses[0][1]}"
    networks = ["127.0.0.0/8"]
    async with Transport(
        user_agent="t", allowed_networks=networks, ssl_context=client_side
    ) as transport:
        adapter = open_adapter(transport, url, {}, Credential(token=GOOD_TOKEN))
        assert await adapter.submit(submission, ignore) in fake.jobs
    async with Transport(user_agent="t", allowed_networks=networks) as distrustful:
        adapter = open_adapter(distrustful, url, {}, Credential(token=GOOD_TOKEN))
        with pytest.raises(ServiceUnavailable, match="No secure connection"):
            await adapter.submit(submission, ignore)
    await runner.cleanup()
