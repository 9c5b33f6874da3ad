"""What is sent to `POST /runs`, and what the answers to it are taken for."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.adapters.base import (
    AdapterError,
    Credential,
    CredentialRejected,
    DoubtfulSubmission,
    InputFile,
    Rejected,
    ServiceUnavailable,
    Submission,
)
from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter
from tests.adapters.wes.conftest import LINK, SAPPORO, STARTER_KIT, WESKIT, Open
from tests.fakes.recording import (
    GARBAGE,
    HTML_200,
    HTML_502,
    Behaviour,
    answer,
    half_an_answer,
    read_then_reset,
    silent,
)
from tests.fakes.wes import FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import CRASH, FakeWeskit

Job = Callable[..., Submission]


def ignore(_count: int) -> None:
    pass


async def test_submit_when_sent_then_real_multipart_of_known_length_and_only_configured_fields(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(
        sapporo.url,
        SAPPORO,
        workflow={**SAPPORO["workflow"], "type": "cwl", "type_version": "V1.2"},  # type: ignore[dict-item] # it is a dict
    )
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    (headers,) = sapporo.headers_of_posts
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(headers["Content-Length"]) > 100
    assert "Transfer-Encoding" not in headers
    assert [part.name for part in run.parts] == [
        "workflow_params", "workflow_type", "workflow_type_version", "workflow_url", "workflow_engine", "tags",
    ]  # fmt: skip
    assert run.fields["workflow_type"] == "CWL"
    assert run.fields["workflow_type_version"] == "v1.2"
    assert run.params == {"vcf": f"{LINK}/chr1.vcf.gz", "job": "fi-1"}
    assert run.tags == {"platform_job_id": "fi-1"}


async def test_submit_when_files_are_sent_along_then_flat_names_and_whole(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(
        sapporo.url,
        SAPPORO,
        input_mode="attachment",
        params={"vcfs": [{"class": "File", "location": "{input_name}"}]},
        workflow={
            "url": "w.cwl",
            "type": "CWL",
            "type_version": "v1.2",
            "engine": "cwltool",
            "engine_parameters": {"--tag": "{job_id}"},
            "attachments": [{"name": "w.cwl", "content": "cwlVersion: v1.2 # é"}],
        },
    )
    told: list[int] = []
    run = sapporo.runs[await adapter.submit(job(files=2), told.append)]
    assert run.attachments == {
        "w.cwl": "cwlVersion: v1.2 # é".encode(),
        "chr1.vcf.gz": b"vcf" * 10,
        "chr2.vcf.gz": b"vcf" * 10,
    }
    assert run.params["vcfs"][1] == {"class": "File", "location": "chr2.vcf.gz"}
    assert json.loads(run.fields["workflow_engine_parameters"]) == {"--tag": "fi-1"}
    assert told[-1] == 60
    assert adapter.capabilities.input_links is False


async def test_submit_when_weskit_then_strings_whatever_is_configured(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    adapter = at(
        weskit.url, WESKIT, params={"a": "{input_urls}", "n": 3, "b": "{phasing}"}, params_as_strings=False
    )  # fmt: skip
    run = weskit.runs[await adapter.submit(job(files=2), ignore)]
    assert run.params == {
        "a": f"{LINK}/chr1.vcf.gz {LINK}/chr2.vcf.gz",
        "n": "3",
        "b": "true",
    }


async def test_submit_when_weskit_lacks_the_workflow_then_doubtful_for_the_run_is_there(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    weskit.workflows.clear()
    with pytest.raises(DoubtfulSubmission):
        await at(weskit.url, WESKIT).submit(job(), ignore)
    assert len(weskit.runs) == 1


async def test_submit_when_weskit_refuses_a_field_then_rejected_with_its_words(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    adapter = at(weskit.url, WESKIT, workflow={**WESKIT["workflow"], "engine": "nextflow"})  # type: ignore[dict-item] # it is a dict
    with pytest.raises(Rejected, match="workflow_engine"):
        await adapter.submit(job(), ignore)


async def test_submit_when_starter_kit_then_flat_texts_pass_and_others_are_409(
    starter_kit: FakeStarterKit, at: Open, job: Job
) -> None:
    adapter = at(starter_kit.url, STARTER_KIT)
    run = starter_kit.runs[await adapter.submit(job(files=3), ignore)]
    assert run.params["input"] == f"{LINK}/samples.csv"
    odd = at(starter_kit.url, STARTER_KIT, params={"input": "{samplesheet_url}", "x": ["{input_url}"]})  # fmt: skip
    with pytest.raises(Rejected, match=r"409.*a parameter is a list"):
        await odd.submit(job("fi-2"), ignore)
    files = at(starter_kit.url, STARTER_KIT, input_mode="attachment", params={"x": "{input_name}"})
    with pytest.raises(Rejected, match="drops files"):
        await files.submit(job("fi-3"), ignore)
    assert not starter_kit.dropped
    assert len(starter_kit.runs) == 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answer(400, b'{"msg":"bad type","status_code":400}'), Rejected),
        (answer(409, b'{"msg":"Could not register new WorkflowRun"}'), Rejected),
        (answer(415, b'{"title":"Unsupported Media Type","status":415}'), Rejected),
        (answer(422, b'{"detail":[{"loc":["body"]}]}'), Rejected),
        (answer(413, b"<html>too large</html>", "text/html"), Rejected),
        (answer(401, b'{"msg":"Not authenticated"}'), CredentialRejected),
        (answer(403, b"<html>no</html>", "text/html"), CredentialRejected),
        (answer(400, b"<html>Bad Request</html>", "text/html"), DoubtfulSubmission),
        (answer(500, CRASH, "text/html"), DoubtfulSubmission),
        (answer(500, b'{"msg":"x"}'), DoubtfulSubmission),
        (answer(503, b""), DoubtfulSubmission),
        (answer(303, b"", Location="/login"), DoubtfulSubmission),
        (answer(200, b""), DoubtfulSubmission),
        (answer(200, b'{"run_id":""}'), DoubtfulSubmission),
        (answer(200, b'{"run_id":"../x"}'), DoubtfulSubmission),
        (answer(200, b'{"run_id":7}'), DoubtfulSubmission),
        (answer(201, b'{"id":"1"}'), DoubtfulSubmission),
        (HTML_200, DoubtfulSubmission),
        (HTML_502, DoubtfulSubmission),
        (GARBAGE, DoubtfulSubmission),
        (half_an_answer, DoubtfulSubmission),
        (read_then_reset, DoubtfulSubmission),
    ],
)  # fmt: skip
async def test_submit_when_the_answer_is_odd_then_doubtful_unless_it_is_clear(
    sapporo: FakeWes, at: Open, job: Job, behaviour: Behaviour, error: type[AdapterError]
) -> None:
    sapporo.misbehave(behaviour, "/runs", "POST")
    with pytest.raises(error) as caught:
        await at(sapporo.url, SAPPORO).submit(job(), ignore)
    assert type(caught.value) is error
    assert LINK not in caught.value.reason


@pytest.mark.parametrize(
    "behaviour", [answer(404, b'{"msg":"x"}'), answer(405, b""), answer(429, b"{}")]
)
async def test_submit_when_nobody_took_it_then_held_and_not_doubtful(
    sapporo: FakeWes, at: Open, job: Job, behaviour: Behaviour
) -> None:
    sapporo.misbehave(behaviour, "/runs", "POST")
    with pytest.raises(ServiceUnavailable) as caught:
        await at(sapporo.url, SAPPORO).submit(job(), ignore)
    assert not isinstance(caught.value, DoubtfulSubmission)


async def test_submit_when_the_server_is_down_before_then_held_and_nothing_was_sent(
    sapporo: FakeWes, at: Open, job: Job, transport: Transport
) -> None:
    sapporo.misbehave(answer(503, b""), "/service-info")
    with pytest.raises(ServiceUnavailable) as caught:
        await at(sapporo.url, SAPPORO).submit(job(), ignore)
    assert not isinstance(caught.value, DoubtfulSubmission)
    assert not sapporo.seen("/runs", "POST")
    nowhere = open_adapter(
        transport, "http://127.0.0.1:1", {**SAPPORO, "allow_insecure": True}, Credential(token="t")
    )
    with pytest.raises(ServiceUnavailable) as caught:
        await nowhere.submit(job(), ignore)
    assert not isinstance(caught.value, DoubtfulSubmission)


async def test_submit_when_no_answer_comes_in_time_then_doubtful(
    sapporo: FakeWes, hasty: Transport, job: Job
) -> None:
    sapporo.misbehave(silent, "/runs", "POST")
    adapter = open_adapter(
        hasty, sapporo.url, {**SAPPORO, "allow_insecure": True}, Credential(token="t" * 9)
    )
    sapporo.tokens.add("t" * 9)
    with pytest.raises(DoubtfulSubmission):
        await adapter.submit(job(), ignore)


async def test_submit_when_the_service_echoes_a_link_then_it_is_not_repeated(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    sapporo.misbehave(answer(400, json.dumps({"msg": f"cannot fetch {LINK}/chr1.vcf.gz"})), "/runs", "POST")  # fmt: skip
    with pytest.raises(Rejected) as caught:
        await at(sapporo.url, SAPPORO).submit(job(), ignore)
    assert "s3cr3t" not in caught.value.reason


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        ({"workflow": {}}, {}, "has to name its workflow"),
        ({}, {"mode": "qc_only"}, "mode"),
        ({}, {"phasing": "beagle"}, "no choice of phasing"),
        ({"maps": {"phasing": {"eagle": "e"}}}, {"phasing": False}, "does not offer the phasing none. It offers: eagle"),
        ({}, {"population": "afr"}, "no choice of population"),
        ({"maps": {"population": {"afr": "AFR"}}}, {"population": "eur"}, "does not offer the population eur. It offers: afr"),
        ({"maps": {"build": {"hg38": "b38"}}}, {"build": "hg19"}, "does not offer the build hg19. It offers: hg38"),
        ({"panels": {"p": {"value": 1}}}, {"panel_key": "q"}, "does not offer the reference panel q. It offers: p"),
        ({}, {"options": {"x": "1"}}, "does not offer the option x. It offers: none"),
        ({"options": {"n": {"kind": "number"}}}, {"options": {"n": "x"}}, "is a number"),
        ({"options": {"n": {"kind": "checkbox"}}}, {"options": {"n": "x"}}, "yes or no"),
        ({"options": {"n": {"choices": {"a": "A"}}}}, {"options": {"n": "x"}}, "does not offer the n x. It offers: a"),
        ({"params": {"s": "{samplesheet_url}"}}, {"samplesheet_url": None}, "sample sheet"),
        ({"params": {"s": "{input_urls} {upload_url}"}}, {"upload_url": None}, "address for the results"),
    ],
)  # fmt: skip
async def test_submit_when_it_is_not_offered_then_rejected_before_anything_is_sent(
    sapporo: FakeWes, at: Open, job: Job, config: dict[str, object], changes: dict[str, object], said: str
) -> None:  # fmt: skip
    with pytest.raises(Rejected, match=said):
        await at(sapporo.url, SAPPORO, **config).submit(job(**changes), ignore)
    assert not sapporo.runs


async def test_submit_when_files_do_not_fit_then_rejected(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    with pytest.raises(Rejected, match="one input file"):
        await adapter.submit(job(files=2), ignore)
    (stored,) = job().files
    for odd in (
        InputFile(stored.path, "../x.vcf.gz", 30, url=LINK),
        InputFile(stored.path, "a b.vcf.gz", 30, url=LINK),
        InputFile(stored.path, "x.vcf.gz", 30),
    ):
        with pytest.raises(Rejected):
            await adapter.submit(replace(job(), files=(odd,)), ignore)
    sends = at(sapporo.url, SAPPORO, input_mode="attachment", params={"n": "{input_name}"})
    changed = InputFile(stored.path, "x.vcf.gz", 31)
    with pytest.raises(Rejected, match="at least one"):
        await sends.submit(replace(job(), files=()), ignore)
    with pytest.raises(Rejected, match="missing or has changed"):
        await sends.submit(replace(job(), files=(changed,)), ignore)
    assert not sapporo.runs
