"""The whole platform with each member of the Michigan family: found by its address, one job, results verified and decrypted, once."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.sandbox.vcf import write_vcf
from tests.support.world import Sandbox, World, open_world

MEMBERS: dict[str, dict[str, Any]] = {
    "cloudgene3": {},
    "topmed": {"topmed": True},
    "cloudgene2": {"dialect": "cloudgene2"},
    "simple": {"dialect": "simple"},
}
PASSWORDS = {"cloudgene3", "topmed", "cloudgene2"}
"""The members that encrypt their results under our password."""
LIMIT_S = 40.0


@pytest.fixture
async def world(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(settings, database_url, redis_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    return write_vcf(tmp_path / "chr20.vcf.gz")


async def added(world: World, member: str) -> tuple[Sandbox, int, int]:
    """Start a sandbox, find out what it is by its address, and make it a service as was proposed."""
    sandbox = await world.sandbox(**MEMBERS[member])
    found = await world.admin.call(
        "POST", "/services/discover", json={"base_url": sandbox.base, "allow_insecure": True}
    )
    (proposal,) = [item for item in found["proposals"] if item["api_type"] == "michigan"]
    assert proposal["dialect"] == ("cloudgene3" if member == "topmed" else member)
    body = {"api_config": proposal["service"]["api_config"]}
    service_id, panel_id = await world.add_service(sandbox, **body)
    return sandbox, service_id, panel_id


@pytest.mark.parametrize("member", MEMBERS)
async def test_job_when_sent_in_each_dialect_then_its_results_are_here_verified(
    world: World, vcf: Path, member: str
) -> None:
    sandbox, service_id, panel_id = await added(world, member)
    job = await world.alice.submit(service_id, panel_id, vcf, name=member)
    await world.alice.until_end(job["id"], "completed", limit_s=LIMIT_S)
    alice = world.alice
    async with world.session.get(
        f"{alice.base}/jobs/{job['id']}/results", headers={"Authorization": f"Bearer {alice.token}"}
    ) as response:
        assert response.status == 200
        content = await response.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    genotypes = "imputed.vcf.gz" if member == "simple" else "chr20.dose.vcf.gz"
    assert any(name.endswith(genotypes) for name in names), names
    assert not any(name.endswith((".zip", ".md5")) for name in names), names
    (remote,) = [item for item in sandbox.jobs() if item.name.startswith("fi-")]
    assert (remote.inputs.get("password", "").startswith("fi-")) == (member in PASSWORDS)
    assert sandbox.stats.leaked_tokens == 0
    logs = await world.alice.call("GET", f"/jobs/{job['id']}/status-updates")
    assert sandbox.token not in str(logs)


@pytest.mark.parametrize("member", ["topmed", "cloudgene2"])
async def test_job_when_the_published_checksum_is_another_then_it_is_not_completed(
    world: World, vcf: Path, member: str
) -> None:
    sandbox, service_id, panel_id = await added(world, member)
    sandbox.set_faults(wrong_md5=True)
    job = await world.alice.submit(service_id, panel_id, vcf, name=member)
    ended = await world.alice.until_end(job["id"], "failed", limit_s=LIMIT_S)
    assert "checksum" in ended["error_message"]


@pytest.mark.parametrize("member", ["cloudgene2", "simple"])
async def test_job_when_the_answer_to_its_submission_is_lost_then_never_sent_twice(
    world: World, vcf: Path, member: str
) -> None:
    sandbox, service_id, panel_id = await added(world, member)
    sandbox.set_faults(lose_submit_answer_n=1)
    job = await world.alice.submit(service_id, panel_id, vcf, name=member)
    if member == "cloudgene2":
        await world.alice.until_end(job["id"], "completed", limit_s=LIMIT_S)
    else:
        await world.alice.until(
            job["id"], lambda seen: seen["stage"] == "decision_needed", limit_s=LIMIT_S
        )
        (remote,) = sandbox.jobs()
        await world.alice.call(
            "POST", f"/jobs/{job['id']}/adopt", json={"external_job_id": remote.id}
        )
        await world.alice.until_end(job["id"], "completed", limit_s=LIMIT_S)
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize("member", ["cloudgene2", "simple"])
async def test_job_when_its_token_is_replaced_meanwhile_then_held_until_there_is_another(
    world: World, vcf: Path, member: str
) -> None:
    sandbox, service_id, panel_id = await added(world, member)
    sandbox.set_faults(run_s=1.5)
    job = await world.alice.submit(service_id, panel_id, vcf, name=member)
    await world.alice.until(job["id"], lambda seen: seen["external_job_id"] is not None)
    token = sandbox.new_token()
    await world.alice.until_stage(job["id"], "credential_needed", limit_s=LIMIT_S)
    await world.alice.store_token(service_id, token)
    await world.alice.until_end(job["id"], "completed", limit_s=LIMIT_S)


@pytest.mark.parametrize("member", ["cloudgene2", "simple"])
async def test_job_when_nothing_is_configured_and_the_platform_restarts_then_found_out_again(
    world: World, vcf: Path, member: str
) -> None:
    sandbox = await world.sandbox(**MEMBERS[member])
    service_id, panel_id = await world.add_service(sandbox)
    sandbox.set_faults(run_s=2.0)
    job = await world.alice.submit(service_id, panel_id, vcf, name=member)
    await world.alice.until(job["id"], lambda seen: seen["external_job_id"] is not None)
    await world.stop()
    await world.start()
    await world.alice.until_end(job["id"], "completed", limit_s=LIMIT_S)
    service = await world.admin.call("GET", f"/services/{service_id}")
    assert member in str(service)


async def test_job_when_a_gateway_is_cancelled_then_it_stops_there_too(
    world: World, vcf: Path
) -> None:
    sandbox, service_id, panel_id = await added(world, "simple")
    sandbox.set_faults(run_s=30.0)
    job = await world.alice.submit(service_id, panel_id, vcf, name="cancelled")
    await world.alice.until(job["id"], lambda seen: seen["external_job_id"] is not None)
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    await world.alice.until_end(job["id"], "cancelled", limit_s=LIMIT_S)
    (remote,) = sandbox.jobs()
    assert remote.state == 6
