"""One upload to two services, in a small world: each job lives its own life, and what failed is tried again together."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.world import World


async def send(world: World, places: list[tuple[int, int]], file: Path) -> dict[str, Any]:
    """Send one file to several places; give the batch."""
    form = aiohttp.FormData()
    form.add_field("build", "hg19")
    targets = [{"service_id": place[0], "reference_panel_id": place[1]} for place in places]
    form.add_field("targets", json.dumps(targets))
    form.add_field("input_file", file.read_bytes(), filename=file.name)
    batch: dict[str, Any] = await world.alice.call("POST", "/jobs", data=form, expect=201)
    return batch


async def until(world: World, batch: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """Wait until a batch stands so."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = await world.alice.call(
                "GET", f"/batches/{batch['id']}", expect=200
            )
            if found["status"] in statuses:
                return found
            await asyncio.sleep(0.05)


async def test_batch_when_one_service_fails_then_the_other_completes_and_the_rest_is_tried_again(
    world: World, tiny: Path
) -> None:
    sandboxes = [await world.sandbox(), await world.sandbox()]
    places = [await world.add_service(sandbox) for sandbox in sandboxes]
    sandboxes[1].set_faults(job_error="strand_flips")
    batch = await send(world, places, tiny)
    ended = await until(world, batch, "mixed", "completed", "failed")
    assert [job["status"] for job in ended["jobs"]] == ["completed", "failed"], ended
    assert ended["counts"] | {"completed": 1, "failed": 1} == ended["counts"]
    assert [len(sandbox.jobs()) for sandbox in sandboxes] == [1, 1]

    sandboxes[1].set_faults()
    again = await world.alice.call("POST", f"/batches/{batch['id']}/retry", expect=201)
    assert [job["retry_of"] for job in again["jobs"]] == [ended["jobs"][1]["id"]]
    done = await until(world, again, "completed", "failed", "mixed")
    assert done["status"] == "completed", done
    assert [len(sandbox.jobs()) for sandbox in sandboxes] == [1, 2]
    former = await world.alice.call("GET", f"/batches/{batch['id']}", expect=200)
    assert former["status"] == "mixed"


async def test_batch_when_one_service_is_down_then_the_other_goes_on_and_a_cancel_ends_what_waits(
    world: World, tiny: Path
) -> None:
    sandboxes = [await world.sandbox(), await world.sandbox()]
    places = [await world.add_service(sandbox) for sandbox in sandboxes]
    sandboxes[1].set_faults(answer="html_502", only="/")
    batch = await send(world, places, tiny)
    await world.alice.until_end(batch["jobs"][0]["id"], "completed")
    found = await world.alice.call("GET", f"/batches/{batch['id']}", expect=200)
    assert found["status"] == "open"
    assert found["counts"]["completed"] == 1

    answer = await world.alice.call("POST", f"/batches/{batch['id']}/cancel", expect=202)
    assert answer["job_ids"] == [batch["jobs"][1]["id"]]
    ended = await until(world, batch, "mixed")
    assert [job["status"] for job in ended["jobs"]] == ["completed", "cancelled"]
    assert len(sandboxes[1].jobs()) == 0
