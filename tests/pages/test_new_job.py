"""The page of a new job over plain HTTP: what it offers, what it refuses, and the form that browsers send by themselves."""

from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from app.usecases.deps import Actor, Deps
from app.usecases.own_credentials import delete_credential, list_credentials
from app.usecases.waits import FEWEST_JOBS
from tests import factories
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, finish, genotypes, make_desk, submitted
from tests.support.people import Person

FORM = {
    "phasings": ["eagle", "no_phasing"],
    "default_phasing": "eagle",
    "modes": ["imputation", "qc_only"],
    "options": [
        {"id": "r2Filter", "kind": "choice", "label": "rsq Filter", "default": "0.1",
         "choices": [{"key": "0", "label": "off"}, {"key": "0.1", "label": "0.1"}]},
        {"id": "meta", "kind": "checkbox", "label": "Meta file", "default": "true", "choices": []},
        {"id": "tag", "kind": "text", "label": "Your <b>tag</b>", "default": None, "choices": []},
        {"id": "window", "kind": "number", "label": "Window", "default": "500", "choices": []},
    ],
}  # fmt: skip


def chosen(desk: Desk, **more: str) -> dict[str, str]:
    service = str(desk.service.id)
    return {"build": "hg19", "service": service, f"panel-{service}": str(desk.panel.id), **more}


async def test_services_when_there_are_more_than_fit_then_every_one_can_be_found_and_chosen(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    many = [
        await factories.make_service(deps, slug=f"place-{number}", name=f"Place {number}")
        for number in range(101)
    ]
    last = many[-1]

    page = (await client.get("/ui/jobs/new", as_=alice)).text
    assert "102 services take jobs" in page
    assert last.name not in page
    found = (
        await client.get(f"/ui/jobs/new?service={desk.service.id}&find=place+100", as_=alice)
    ).text
    assert f'name="service" value="{last.id}"' in found
    assert f'name="service" value="{desk.service.id}" checked' in found
    assert f'value="{many[0].id}"' not in found
    part = await client.get(f"/ui/jobs/new/service?id={last.id}&service={last.id}", as_=alice)
    assert part.status == 200
    assert last.name in part.text

    listed = (await client.get("/ui/services", as_=alice)).text
    assert "24 of 102 services" in listed
    assert listed.count("service-card") == 24
    last_page = await client.get("/ui/services?offset=96", as_=alice)
    assert last_page.text.count("service-card") == 6


async def post(
    client: Api, person: Person, fields: dict[str, str], *files: bytes, key: str = "k" * 24
) -> Answer:
    form = aiohttp.FormData(quote_fields=False)
    for content in files:
        form.add_field("input_file", content, filename="chr20.vcf.gz")
    for name, value in {**fields, "idempotency_key": key}.items():
        form.add_field(name, value)
    return await client.post("/ui/jobs/new", as_=person, data=form)


async def jobs_of(client: Api, person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/jobs", as_=person)).json()
    return found


async def test_page_when_a_service_is_chosen_then_shows_what_its_own_form_asks(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice, live_form=FORM, country="South Africa", max_remote_jobs=3)
    plain = await client.get("/ui/jobs/new", as_=alice)
    assert plain.status == 200
    assert desk.service.name in plain.text
    assert "rsq Filter" not in plain.text

    page = await client.get(f"/ui/jobs/new?{urlencode(chosen(desk))}", as_=alice)
    for words in ("South Africa", "3 jobs at a time", "rsq Filter", "Quality control only",
                  "Your &lt;b&gt;tag&lt;/b&gt;", "Eagle (the service", "imputation.example.org",
                  "kept for 90 days"):  # fmt: skip
        assert words in page.text, words
    assert '<option value="mixed" selected>' in page.text
    assert '<option value="0.1" selected>' in page.text
    assert f'name="option-{desk.service.id}-meta" value="true" checked' in page.text


async def test_page_when_only_one_panel_is_there_then_it_is_chosen(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    page = await client.get(f"/ui/jobs/new?service={desk.service.id}", as_=alice)
    assert f'value="{desk.panel.id}" checked' in page.text


async def test_page_when_a_credential_is_missing_then_leads_to_it_and_back(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, None)
    page = await client.get(f"/ui/jobs/new?{urlencode(chosen(desk))}", as_=alice)
    assert "Setup required" in page.text
    back = urlencode({"next": f"/ui/jobs/new?{urlencode(chosen(desk))}"})
    assert f"/ui/settings/service-credentials/new?service={desk.service.id}&amp;{back}" in page.text


@pytest.mark.parametrize(
    "query",
    [
        "service=x&panel-1=y&file=z&from=1&build=%00", "service=1&service=99999999&input_file_id=7", "file=999999999999999999",
        "option-1-x=%ED%A0%80", "from=..%2F..", "id=7", "population-1=%3Cscript%3E",
    ],
)  # fmt: skip
async def test_page_when_the_address_is_nonsense_then_is_shown(
    client: Api, deps: Deps, alice: Person, query: str
) -> None:
    await make_desk(deps, alice)
    answer = await client.get(f"/ui/jobs/new?{query}", as_=alice)
    assert answer.status == 200
    assert "<script>" not in answer.text.replace('<script src="', "")


async def test_page_when_nobody_is_signed_in_then_leads_to_the_sign_in(client: Api) -> None:
    for path in ("/ui/jobs/new", "/ui/jobs/new/service?id=1"):
        answer = await client.get(path)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/ui/sign-in?next=")


async def test_part_when_a_service_is_not_there_then_404(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    hx = {"HX-Request": "true"}
    good = await client.get(
        f"/ui/jobs/new/service?id={desk.service.id}&service={desk.service.id}",
        as_=alice,
        headers=hx,
    )
    assert good.status == 200
    assert 'hx-swap-oob="true"' in good.text
    assert "<html" not in good.text
    for query in ("", "id=99", "id=x"):
        answer = await client.get(f"/ui/jobs/new/service?{query}", as_=alice, headers=hx)
        assert answer.status == 404


async def test_page_when_like_an_earlier_job_then_is_filled_in_for_its_owner_alone(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    desk = await make_desk(deps, alice, live_form=FORM)
    job = await submitted(
        deps, client, alice, desk, name="c.vcf.gz", population="eur", phasing="false",
        options='{"r2Filter":"0"}',
    )  # fmt: skip
    page = await client.get(f"/ui/jobs/new?from={job.id}", as_=alice)
    for words in ('<option value="eur" selected>', '<option value="false" selected>', '<option value="hg19" selected>',
                  f'value="{job.input_file_id}" checked', f'value="{desk.panel.id}" checked'):  # fmt: skip
        assert words in page.text, words
    assert (await client.get(f"/ui/jobs/new?from={job.id}", as_=bob)).status == 404

    other = await client.get(f"/ui/jobs/new?file={job.input_file_id}", as_=bob)
    assert "stored-" not in other.text
    own = await client.get(f"/ui/jobs/new?file={job.input_file_id}", as_=alice)
    assert f'value="{job.input_file_id}" checked' in own.text


async def test_page_when_five_jobs_were_done_then_tells_how_long_they_usually_take(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    for done in range(1, FEWEST_JOBS + 1):
        await finish(deps, await submitted(deps, client, alice, desk), "completed")
        await deps.pool.execute(
            "update imputation_jobs set created_at = completed_at - interval '2 hours'"
        )
        page = await client.get("/ui/jobs/new", as_=alice)
        assert ("Usually done in 2 h" in page.text) == (done == FEWEST_JOBS)


async def test_check_when_asked_then_judges_without_a_file_and_speaks_the_words_of_the_api(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    good = await client.post("/ui/jobs/new/check", as_=alice, data=chosen(desk))
    assert good.status == 200
    assert good.json() == {
        "fields": {
            "build": "hg19",
            "service_id": str(desk.service.id),
            "reference_panel_id": str(desk.panel.id),
        },
        "targets": [[desk.service.id, desk.panel.id]],
        "input_file_ids": [],
    }
    population = f"population-{desk.service.id}-{desk.panel.id}"
    bad = await client.post(
        "/ui/jobs/new/check", as_=alice, data=chosen(desk, **{population: "nobody"})
    )
    assert bad.status == 400
    assert bad.json()["errors"][0]["field"] == population
    nothing = await client.post("/ui/jobs/new/check", as_=alice, data={})
    assert {item["field"] for item in nothing.json()["errors"]} == {"build", "service"}

    held, _ = await list_credentials(deps, Actor(alice.user), limit=1, offset=0)
    await delete_credential(deps, Actor(alice.user), held[0].stored.id)
    missing = await client.post("/ui/jobs/new/check", as_=alice, data=chosen(desk))
    assert missing.json()["code"] == "no_credentials"
    assert missing.json()["service_id"] == desk.service.id
    assert not await jobs_of(client, alice)


async def test_form_when_sent_twice_then_one_job_is_made(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    fields = chosen(desk, name="Mine", description="for the paper")
    first = await post(client, alice, fields, genotypes())
    again = await post(client, alice, fields, genotypes())
    assert (first.status, again.status) == (303, 303)
    assert first.headers["Location"] == again.headers["Location"]
    (job,) = await jobs_of(client, alice)
    assert first.headers["Location"] == f"/ui/jobs/{job['id']}"
    assert (job["name"], job["description"]) == ("Mine", "for the paper")

    other = await post(client, alice, {**fields, "name": "Another"}, genotypes())
    assert other.status == 422
    assert "has made a job already" in other.text
    assert len(await jobs_of(client, alice)) == 1


async def test_form_when_two_services_are_chosen_then_a_batch_is_made(
    client: Api, deps: Deps, alice: Person
) -> None:
    desks = [await make_desk(deps, alice), await make_desk(deps, alice)]
    form = aiohttp.FormData()
    for desk in desks:
        for name, value in chosen(desk).items():
            if name != "build":
                form.add_field(name, value)
    form.add_field("build", "hg19")
    form.add_field("input_file", genotypes(), filename="chr20.vcf.gz")
    answer = await client.post("/ui/jobs/new", as_=alice, data=form)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/ui/batches/")
    assert len(await jobs_of(client, alice)) == 2


async def test_form_when_refused_then_shows_what_was_chosen_and_what_is_wrong(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    fields = chosen(
        desk, name="Typed <b>", **{f"population-{desk.service.id}-{desk.panel.id}": "eur"}
    )
    for files, words in (
        ((), "Choose at least one file"),
        ((b"\x1f\x8b" + b"\0" * 200_000,), "gzip"),
        ((genotypes(chromosome="chr20"),), "must call it 20"),
    ):
        answer = await post(client, alice, fields, *files)
        assert answer.status == 400
        assert words in answer.text
        assert 'role="alert"' in answer.text
        assert 'value="Typed &lt;b&gt;"' in answer.text
        assert '<option value="eur" selected>' in answer.text
        assert f'value="{"k" * 24}"' in answer.text
    nothing = await post(client, alice, {}, genotypes())
    assert "Choose at least one service" in nothing.text
    assert "Choose the genome build" in nothing.text
    assert not await jobs_of(client, alice)


async def test_form_when_a_stored_file_is_chosen_then_it_is_used_and_nobody_elses_is(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    desk = await make_desk(deps, alice)
    job = await submitted(deps, client, alice, desk)
    stored = {"input_file_id": str(job.input_file_id)}
    answer = await post(client, alice, chosen(desk, **stored))
    assert answer.status == 303
    assert len(await jobs_of(client, alice)) == 2

    free = await make_desk(deps, None, credential_kind="none")
    refused = await post(client, bob, chosen(free, **stored))
    assert refused.status == 404
    assert "no such input file" in refused.text
    assert not await jobs_of(client, bob)


async def test_page_when_a_service_is_switched_off_then_is_not_offered(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice, is_active=False, name="Away for good")
    assert "Away for good" not in (await client.get("/ui/jobs/new", as_=alice)).text
    answer = await post(client, alice, chosen(desk), genotypes())
    assert answer.status == 400
    empty = await client.get("/ui/jobs/new", as_=alice)
    assert "No service takes jobs" in empty.text
    await factories.make_service(deps)
