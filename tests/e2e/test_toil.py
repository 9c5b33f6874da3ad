"""The whole platform beside a WES server of other people: what the researcher gets is what Toil made, once, whatever broke between."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from app.genotypes.testdata import write_test_files
from tests.e2e.processes import Scene
from tests.fakes.front import Front, Loss, open_front
from tests.support.toil import WORKFLOW, Toil

SETTINGS = {
    "FIP_POLL_INTERVAL_S": "0.3",
    "FIP_DISPATCH_INTERVAL_S": "0.2",
    "FIP_SETTLE_WAIT_S": "0.3",
    "FIP_RECOVERY_WAIT_S": "0.5",
    "FIP_RETRY_BASE_S": "0.3",
    "FIP_RETRY_MAX_S": "2",
    "FIP_LEASE_S": "5",
    "FIP_HEALTH_INTERVAL_S": "2",
}
LIMIT_S = 90.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


def service_at(front: Front, toil: Toil) -> dict[str, Any]:
    """Give the service as an administrator would describe it."""
    return {
        "name": "Toil",
        "slug": "toil",
        "api_type": "ga4gh_wes",
        "base_url": front.base + URL(toil.base).path,
        "allow_insecure": True,
        "credential_kind": "none",
        "api_config": {
            "dialect": "toil",
            "workflow": {
                "url": WORKFLOW.name,
                "type": "CWL",
                "type_version": "v1.2",
                "engine_parameters": {"--retryCount": "0"},
                "attachments": [{"name": WORKFLOW.name, "content": WORKFLOW.read_text()}],
            },
            "params": {
                "hold": f"{toil.holds}/{{option.hold}}",
                "ending": "{option.ending}",
                "panel": "{panel.value}",
                "job_id": "{job_id}",
                "input_vcf": {"class": "File", "location": "{input_name}"},
            },
            "options": {"hold": {}, "ending": {"default": "complete"}},
            "panels": {"h3africa": {"value": "h3africa_v6", "builds": ["hg19", "hg38"]}},
            "input_mode": "attachment",
            "tags": {"platform_job_id": "{job_id}"},
            "outputs": {
                "include": ["*.vcf.gz", "*.html"],
                "file_url_map": [
                    {"prefix": f"file://{toil.work_dir}/", "replace": f"{front.base}/results/"}
                ],
            },
        },
    }


@dataclass(slots=True)
class Site:
    """The platform, Toil behind its front, and the service row that joins them."""

    scene: Scene
    toil: Toil
    front: Front
    service_id: int
    panel_id: int
    file: Path

    async def submit(self, hold: Path, **options: str) -> str:
        """Submit a job whose run waits while `hold` is there; give its id."""
        asked = msgspec.json.encode({"hold": hold.name, **options}).decode()
        job = await self.scene.client.submit(
            self.service_id, self.panel_id, self.file, name=hold.name, options=asked
        )
        return str(job["id"])

    async def until_sent(self, job_id: str) -> dict[str, Any]:
        """Wait until the platform knows the run."""
        return await self.scene.client.until(
            job_id, lambda job: job["external_job_id"] is not None, limit_s=LIMIT_S
        )

    async def until_end(self, job_id: str, status: str) -> dict[str, Any]:
        """Wait for the end, and check how."""
        try:
            return await self.scene.client.until_end(job_id, status, limit_s=LIMIT_S)
        except AssertionError as error:
            error.add_note(self.scene.server.events())
            raise

    async def check_results(self, job: dict[str, Any], run: dict[str, Any]) -> None:
        """The results are byte for byte what the run made, and no more than was asked for."""
        results = await self.scene.client.call(
            "GET",
            f"/jobs/{job['id']}/results",
            headers={"Accept": "application/json"},
            expect=200,
        )
        kept = {file["name"]: (file["size"], file["sha256"]) for file in results["files"]}
        folder = self.toil.work_dir / run["run_id"] / "outputs"
        made = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert set(made) == {"imputed.vcf.gz", "report.html"}
        assert kept == {
            name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in made.items()
        }

    async def check_one_run(self, job: dict[str, Any], hold: Path) -> dict[str, Any]:
        """Toil has one run for the job, the one that the platform followed; give it."""
        runs = await asyncio.to_thread(self.toil.runs_on, hold)
        assert [run["run_id"] for run in runs] == [job["external_job_id"]]
        params, tags = runs[0]["request"]["workflow_params"], runs[0]["request"]["tags"]
        assert params["panel"] == "h3africa_v6"
        assert params["job_id"]
        assert tags == {"platform_job_id": params["job_id"]}
        return runs[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers_dir: Path, toil: Toil) -> AsyncIterator[Site]:
    """A platform whose only service is Toil; the tests of this module share it, and the event loop that it takes."""
    root = servers_dir / "site"
    root.mkdir()
    file = write_test_files(root / "input", None)[0].path
    scene = Scene(root, SETTINGS, with_sandbox=False)
    async with open_front(toil.base, toil.work_dir) as front, scene:
        client = scene.client
        await scene.sign_in("admin")
        body = service_at(front, toil)
        service = await client.call("POST", "/services", json=body, expect=201)
        panels = f"/services/{service['id']}/reference-panels"
        await client.call("POST", f"{panels}/sync", expect=200)
        await scene.sign_in()
        listed = await client.call("GET", panels, expect=200)
        yield Site(scene, toil, front, int(service["id"]), int(listed[0]["id"]), file)


@pytest.fixture
def site(running: Site) -> Site:
    """The platform, with a front that has lost nothing yet."""
    running.front.reset()
    return running


@pytest.fixture
def hold(toil: Toil) -> Path:
    """A file that the test's run waits for."""
    return toil.hold(uuid4().hex)


async def test_job_when_toil_completes_it_then_the_results_are_what_toil_made(
    site: Site, hold: Path
) -> None:
    job_id = await site.submit(hold)
    running = await site.scene.client.until(
        job_id, lambda job: job["stage"] == "remote_running", limit_s=LIMIT_S
    )
    assert running["status"] == "running"
    hold.unlink()
    job = await site.until_end(job_id, "completed")

    run = await site.check_one_run(job, hold)
    await site.check_results(job, run)
    told = [update["message"] for update in await site.scene.client.updates(job_id)]
    assert told[0] == "Job created"
    assert told[-1] == "Results ready for download"


async def test_job_when_the_tool_fails_at_toil_then_its_error_is_told(
    site: Site, hold: Path
) -> None:
    hold.unlink()
    job_id = await site.submit(hold, ending="fail")
    job = await site.until_end(job_id, "failed")

    assert "Error: no variant of the panel is in the input" in job["error_message"]
    run = await site.check_one_run(job, hold)
    assert run["state"] == "EXECUTOR_ERROR"


async def test_job_when_cancelled_then_its_run_is_cancelled_at_toil(site: Site, hold: Path) -> None:
    job_id = await site.submit(hold)
    await site.until_sent(job_id)
    await site.toil.until_met(hold)
    await site.scene.client.call("POST", f"/jobs/{job_id}/cancel", expect=202)
    job = await site.until_end(job_id, "cancelled")

    run = await site.check_one_run(job, hold)
    assert run["state"] == "CANCELED"
    assert hold.exists(), "the run ended because it was cancelled, not by itself"


async def test_job_when_the_server_is_killed_while_it_runs_then_the_next_one_brings_its_results(
    site: Site, hold: Path
) -> None:
    job_id = await site.submit(hold)
    await site.until_sent(job_id)
    await site.scene.server.kill()
    hold.unlink()
    await site.scene.server.start()
    job = await site.until_end(job_id, "completed")

    await site.check_results(job, await site.check_one_run(job, hold))


async def test_job_when_the_server_is_killed_before_it_heard_the_run_id_then_there_is_one_run(
    site: Site, hold: Path
) -> None:
    site.front.losses.append("late answer")
    job_id = await site.submit(hold)
    async with asyncio.timeout(LIMIT_S):
        assert await site.front.taken.get() == "late answer"
    assert (await site.scene.client.job(job_id))["external_job_id"] is None
    await site.scene.server.kill()
    await site.scene.server.start()
    await site.until_sent(job_id)
    hold.unlink()
    job = await site.until_end(job_id, "completed")

    assert site.front.taken.empty(), "it was sent a second time"
    await site.check_results(job, await site.check_one_run(job, hold))


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_job_when_a_connection_breaks_in_its_submission_then_there_is_one_run(
    site: Site, hold: Path, loss: Loss
) -> None:
    site.front.losses.append(loss)
    hold.unlink()
    job = await site.until_end(await site.submit(hold), "completed")

    sent = [site.front.taken.get_nowait() for _ in range(site.front.taken.qsize())]
    assert sent == ([loss] if loss == "answer" else [loss, ""])
    await site.check_results(job, await site.check_one_run(job, hold))
