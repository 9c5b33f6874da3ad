"""The registry over the whole platform: a service that is added is read, looked at and followed by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.core.jobs import Status
from app.sandbox.panels import DEFAULT_PANELS
from tests.support.world import World


async def until(ask: Callable[[], Awaitable[Any]], fits: Callable[[Any], bool]) -> Any:
    """Ask again and again until the answer fits; give it."""
    async with asyncio.timeout(60):
        while not fits(answer := await ask()):
            await asyncio.sleep(0.1)
    return answer


async def test_service_when_found_by_its_address_then_it_is_read_and_jobs_outlive_its_troubles(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    address = {"base_url": f"{sandbox.base}/index.html", "allow_insecure": True}
    found = await world.admin.call("POST", "/services/discover", json=address, expect=200)
    (body,) = [item["service"] for item in found["proposals"] if item["api_type"] == "michigan"]
    shared = {"credential_policy": "shared", "api_config": {"api_token": sandbox.token}}
    service = await world.admin.call("POST", "/services", json={**body, **shared}, expect=201)
    place = f"/services/{service['id']}"

    panels = await until(
        lambda: world.alice.call("GET", f"{place}/reference-panels"),
        lambda listed: len(listed) == len(DEFAULT_PANELS),
    )
    shown = await until(
        lambda: world.alice.call("GET", place), lambda one: one["health"]["state"] == "up"
    )
    assert shown["capabilities"]["dialect"] == "cloudgene3"
    assert len(shown["capabilities"]["panels"]) == len(panels)

    sandbox.set_faults(answer="html_502")
    await until(
        lambda: world.alice.call("GET", place), lambda one: one["health"]["state"] == "down"
    )
    await world.admin.call("PATCH", place, json={"maintenance": True, "maintenance_message": "New disks"})  # fmt: skip
    said = await world.alice.call("GET", f"{place}/health")
    assert (said["state"], said["message"]) == ("maintenance", "New disks")
    job = await world.alice.submit(service["id"], panels[0]["id"], tiny)
    held = await until(
        lambda: world.alice.call("GET", f"/jobs/{job['id']}"),
        lambda one: one["stage"] == "service_unavailable",
    )
    assert "New disks" in held["hold_reason"]
    sandbox.set_faults()
    await world.admin.call("PATCH", place, json={"maintenance": False})
    ended = await until(
        lambda: world.alice.call("GET", f"/jobs/{job['id']}"),
        lambda one: one["completed_at"] is not None,
    )
    assert ended["status"] == Status.COMPLETED
    assert ended["panel_version"] == panels[0]["version"]
    report = await world.alice.call("GET", f"{place}/health")
    assert [item["state"] for item in report["incidents"]][-1] == "down"
    assert 0 < report["uptime"]["24h"] < 1
