"""Collecting: each file once, verified, decrypted; what is wrong with a result is said and never kept."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.world import World


async def test_results_when_complete_then_each_was_downloaded_once_and_none_is_encrypted(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
    assert sandbox.stats.downloads
    assert set(sandbox.stats.downloads.values()) == {1}
    results = await world.alice.call(
        "GET", f"/jobs/{job['id']}/results", headers={"Accept": "application/json"}, expect=200
    )
    names = {item["name"] for item in results["files"]}
    assert {"chr20.dose.vcf.gz", "chr20.info.gz", "quality-control.html"} <= names
    logs = await world.alice.call("GET", f"/jobs/{job['id']}/logs", expect=200)
    password = sandbox.jobs()[0].inputs["password"]
    assert password not in str(logs)
    assert password not in str(results)


async def test_results_when_a_transfer_breaks_then_is_fetched_once_more(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(truncate_download_n=1)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
    assert sorted(sandbox.stats.downloads.values())[-2:] in ([1, 2], [2, 1])


async def test_results_when_the_counter_is_used_up_then_are_held_and_had_when_it_is_reset(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(counter_exhausted=True)
    job = await world.alice.submit(*ids, tiny)
    held = await world.alice.until_stage(job["id"], "results_blocked")
    assert held["completed_at"] is None
    assert "download" in held["hold_reason"]
    sandbox.set_faults()
    pool = world.platform.deps.pool
    await pool.execute("update imputation_jobs set next_action_at = now()")
    await world.alice.until_end(job["id"], "completed")


async def test_results_when_held_and_the_service_is_configured_anew_then_are_looked_for_at_once(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(counter_exhausted=True)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "results_blocked")
    sandbox.set_faults()
    change = {"api_config": {"user_agent": "another"}}
    await world.admin.call("PATCH", f"/services/{ids[0]}", json=change, expect=200)
    await world.alice.until_end(job["id"], "completed")


@pytest.mark.parametrize(
    "fault",
    [{"wrong_password": True}, {"broken_zip": True}, {"evil_zip": "slip"}, {"evil_zip": "bomb"}],
)
async def test_results_when_an_archive_cannot_be_trusted_then_the_job_fails_and_keeps_none_of_it(
    world: World, tiny: Path, fault: dict[str, Any]
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(**fault)
    job = await world.alice.submit(*ids, tiny)
    failed = await world.alice.until_end(job["id"], "failed", limit_s=60)
    assert "could not be opened" in failed["error_message"]
    files = await world.alice.call("GET", f"/jobs/{job['id']}/files")
    assert not [item for item in files if item["role"] == "result"]
    stored = await world.platform.deps.pool.fetch(
        "select storage_key from files where storage_key is not null"
    )
    kept = {row["storage_key"].rpartition("/")[2] for row in stored}
    on_disk = {
        path.name
        for path in (world.platform.deps.settings.data_dir / "files").rglob("*")
        if path.is_file()
    }
    assert {name.rpartition("/")[2] for name in on_disk} == kept


async def test_results_when_downloads_are_redirected_then_are_fetched_without_the_token(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(redirect_downloads_to="self")
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
    assert sandbox.stats.leaked_tokens == 0


async def test_results_when_the_download_rows_come_late_then_are_waited_for(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(rows_delay_s=0.6)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
