"""The form of the application, the counters, and lists of jobs."""

from pathlib import Path

import pytest

from tests.sandbox.support import PANEL, User, messages


async def test_form_when_asked_then_types_and_items_are_those_of_cloudgene(user: User) -> None:
    for name in ("imputationserver2", "imputationserver2@2.0.12", "imputationserver2%402.0.12"):
        status, body = await user.get(f"/api/v2/server/apps/{name}")
        assert (status, body["id"]) == (200, "imputationserver2")
    params = {p["id"]: p for p in body["params"]}
    assert params["refpanel"]["type"] == "app_list"
    assert params["refpanel"]["values"][0]["key"] == PANEL
    assert "(GRCh37/hg19)" in params["refpanel"]["values"][0]["value"]
    assert params["population"]["type"] == "binded_list"
    assert params["population"]["bind"] == "refpanel"
    bound = {item["key"]: item for item in params["population"]["values"]}
    assert set(bound) == {item["key"] for item in params["refpanel"]["values"]}
    assert [v["key"] for v in bound[PANEL]["values"]] == ["afr", "mixed", "off"]
    assert bound[PANEL]["label"] == params["refpanel"]["values"][0]["value"]
    assert params["files"]["type"] == "local_folder"
    assert [v["key"] for v in params["phasing"]["values"]] == ["beagle", "eagle", "no_phasing"]
    assert [v["key"] for v in params["mode"]["values"]] == ["imputation", "qc_only"]
    assert params["aesEncryption"]["type"] == params["meta"]["type"] == "checkbox"
    assert params["check1"]["type"] == "terms_checkbox"
    assert "values" not in params["check1"]
    assert not {"password", "job-name"} & set(params), "invisible inputs are left out"


@pytest.mark.parametrize("name", ["nothing", "imputationserver2@1.0", PANEL])
async def test_form_when_app_is_unknown_or_a_panel_then_404(user: User, name: str) -> None:
    assert (await user.get(f"/api/v2/server/apps/{name}"))[0] == 404


async def test_counters_when_anonymous_then_queue_size(user: User, vcf: Path) -> None:
    await user.faults(wait_s=30)
    await user.submit(vcf)
    status, body = await user.get("/api/v2/server/counters", token=None)
    assert (status, body["queue"]["size"]) == (200, 1)
    assert body["users"] == 3


async def test_list_when_without_page_then_all_newest_first_and_bare_rows(
    user: User, vcf: Path
) -> None:
    ids = [await user.submit(vcf) for _ in range(17)]
    for job_id in ids:
        await user.finish(job_id)
    _, body = await user.get("/api/v2/jobs")
    assert [j["id"] for j in body["data"]] == ids[::-1]
    assert (body["count"], body["page"], body["pageSize"]) == (17, 1, 17)
    row = body["data"][0]
    assert (row["state"], row["steps"], row["outputParams"]) == (4, [], [])
    assert row["username"] is None
    _, first = await user.get("/api/v2/jobs?page=1")
    _, second = await user.get("/api/v2/jobs?page=2")
    assert [j["id"] for j in first["data"] + second["data"]] == ids[::-1]
    assert (first["pageSize"], first["prev"], first["next"]) == (15, None, 2)
    assert (second["prev"], second["next"], second["pages"]) == (1, None, [1, 2])
    assert (await user.get("/api/v2/jobs?page=9"))[1]["data"] == []
    assert (await user.get("/api/v2/jobs?page=x"))[0] == 400


async def test_list_when_job_is_open_then_row_is_whole(user: User, vcf: Path) -> None:
    await user.faults(run_s=30)
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: j["state"] == 2 and bool(messages(j)))
    _, body = await user.get("/api/v2/jobs")
    assert body["data"][0]["username"] == "alice"
    assert len(body["data"][0]["steps"]) == 4
