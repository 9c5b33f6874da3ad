"""Services, their panels, and what was seen of their health."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from app.core.health import Span
from app.core.models import Panel, Service, build
from app.db.queries import Connection, Executor, load

SERVICES = load("services")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One look at a service: `up`, `down` or `maintenance`, and how long it took to answer."""

    checked_at: datetime
    state: str
    latency_ms: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a service took to answer, in milliseconds, over `looks` looks; None where there was none."""

    looks: int
    median_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class NewPanel:
    """A panel as somebody, or the service itself, describes it."""

    key: str
    name: str
    populations: list[dict[str, str]]
    builds: list[str]
    version: str | None
    is_active: bool = True


# What administrators set about a service, besides `slug` and `api_type`, which stay.
SETTABLE = (
    "name",
    "description",
    "base_url",
    "location",
    "country",
    "supported_builds",
    "credential_kind",
    "credential_policy",
    "shared_with",
    "allow_insecure",
    "api_config",
    "is_active",
    "poll_interval_s",
    "wait_limit_s",
    "max_remote_jobs",
    "institution",
    "city",
    "latitude",
    "longitude",
    "maintenance",
    "maintenance_message",
)


def _service(row: asyncpg.Record | None) -> Service | None:
    return build(Service, row) if row is not None else None


def _panel(row: asyncpg.Record | None) -> Panel | None:
    return build(Panel, row) if row is not None else None


async def find_service(db: Executor, service_id: int) -> Service | None:
    """Give a service by id."""
    return _service(await SERVICES.get_service.row(db, service_id=service_id))


async def lock_service(connection: Connection, service_id: int) -> Service | None:
    """Give a service that no other transaction changes until this one ends."""
    return _service(await SERVICES.lock_service.row(connection, service_id=service_id))


async def find_service_by_slug(db: Executor, slug: str) -> Service | None:
    """Give a service by its short name."""
    return _service(await SERVICES.find_service_by_slug.row(db, slug=slug))


async def list_services(
    db: Executor, *, is_active: bool | None, api_type: str | None, limit: int, offset: int
) -> tuple[list[Service], int]:
    """Give a page of services, oldest first, and the number of all; None filters nothing."""
    rows = await SERVICES.list_services.rows(
        db, is_active=is_active, api_type=api_type, worst_first=False, limit=limit, offset=offset
    )
    total: int = await SERVICES.count_services.value(db, is_active=is_active, api_type=api_type)
    return [build(Service, row) for row in rows], total


async def list_worst_services(db: Executor, *, is_active: bool | None, limit: int) -> list[Service]:
    """Give the first services of those that can be used least; None filters nothing."""
    rows = await SERVICES.list_services.rows(
        db, is_active=is_active, api_type=None, worst_first=True, limit=limit, offset=0
    )
    return [build(Service, row) for row in rows]


async def count_services_by_state(db: Executor) -> dict[str, int]:
    """Give how many services are up, down, in maintenance, unknown or off; those that are none of them are left out."""
    rows = await SERVICES.count_services_by_state.rows(db)
    return {row["state"]: row["services"] for row in rows}


async def list_services_with_jobs(
    db: Executor, user_id: int, service_id: int | None = None
) -> dict[int, str]:
    """Give the names of the services that a user has jobs at, by id; that of one more, if it is there."""
    rows = await SERVICES.list_services_with_jobs.rows(db, user_id=user_id, service_id=service_id)
    return {row["id"]: row["name"] for row in rows}


async def list_services_by_id(db: Executor, service_ids: list[int]) -> dict[int, Service]:
    """Give some services by id, asked for at once; those that are gone are left out."""
    rows = await SERVICES.list_services_by_id.rows(db, service_ids=service_ids)
    return {row["id"]: build(Service, row) for row in rows}


async def insert_service(
    db: Executor, *, slug: str, api_type: str, values: dict[str, Any]
) -> Service | None:
    """Add a service; None when the short name is taken. `values` are those of `SETTABLE`."""
    row = await SERVICES.insert_service.row(db, slug=slug, api_type=api_type, **values)
    return _service(row)


async def update_service(db: Executor, service: Service) -> Service | None:
    """Write what administrators set about a service."""
    values = {name: getattr(service, name) for name in SETTABLE}
    return _service(await SERVICES.update_service.row(db, service_id=service.id, **values))


async def set_shared_secret(
    db: Executor, service_id: int, secret: bytes | None, key_id: str | None
) -> Service | None:
    """Write the sealed shared secret, or remove it."""
    row = await SERVICES.set_shared_secret.row(
        db, service_id=service_id, secret=secret, key_id=key_id
    )
    return _service(row)


async def set_live_form(
    db: Executor, service_id: int, live_form: dict[str, Any], now: datetime, next_read_at: datetime
) -> None:
    """Keep what the service said of itself, and when it is to be asked again."""
    await SERVICES.set_live_form.run(
        db, service_id=service_id, live_form=live_form, now=now, next_read_at=next_read_at
    )


async def read_again(db: Executor, service_id: int) -> None:
    """Let a service's description be read again soon; that its dialect changed counts as seen to."""
    await SERVICES.read_again.run(db, service_id=service_id)


async def claim_description(db: Executor, now: datetime, next_read_at: datetime) -> Service | None:
    """Take the next service whose description is due; it is due again at `next_read_at` unless it is read until then."""
    return _service(await SERVICES.claim_description.row(db, now=now, next_read_at=next_read_at))


async def claim_own_description(
    db: Executor, service_id: int, now: datetime, next_read_at: datetime
) -> Service | None:
    """Take a service that only its users can read, if its description is due."""
    row = await SERVICES.claim_own_description.row(
        db, service_id=service_id, now=now, next_read_at=next_read_at
    )
    return _service(row)


async def delete_service(db: Executor, service_id: int) -> bool:
    """Remove a service; False when jobs refer to it (or it is gone)."""
    return await SERVICES.delete_service.value(db, service_id=service_id) is not None


async def note_health_check(db: Executor, service_id: int, now: datetime) -> None:
    """Note that a look at a service begins."""
    await SERVICES.note_health_check.run(db, service_id=service_id, now=now)


async def forget_health(db: Executor, service_id: int) -> None:
    """Say that nothing is known of a service; the next look is due now."""
    await SERVICES.forget_health.run(db, service_id=service_id)


async def list_health(
    db: Executor, service_id: int, limit: int, offset: int
) -> tuple[list[HealthCheck], int]:
    """Give a page of what was seen of a service, newest first, and the number of all looks."""
    rows = await SERVICES.list_health.rows(db, service_id=service_id, limit=limit, offset=offset)
    total: int = await SERVICES.count_health.value(db, service_id=service_id)
    return [build(HealthCheck, row) for row in rows], total


async def list_spans(
    db: Executor, service_id: int, since: datetime, now: datetime, gap: timedelta
) -> list[Span]:
    """Give the times for which looks agree, oldest first. A look is good for `gap` where none follows sooner."""
    rows = await SERVICES.list_spans.rows(
        db, service_id=service_id, since=since, now=now, gap_s=gap.total_seconds()
    )
    spans: list[Span] = []
    began: tuple[datetime, str | None] | None = None
    for row in rows:
        began = (row["began_at"], row["message"]) if row["began_at"] is not None else began
        if began is not None and row["ended_at"] is not None:
            said = row["message"] or began[1]
            spans.append(Span(row["state"], began[0], row["ended_at"], said))
    return spans


async def measure_latency(db: Executor, service_id: int, since: datetime) -> Latency:
    """Give how long a service took to answer since a time."""
    row = await SERVICES.measure_latency.row(db, service_id=service_id, since=since)
    return build(Latency, row) if row is not None else Latency(0, None, None)


async def list_latencies(
    db: Executor, service_id: int, since: datetime, now: datetime, slot_s: float
) -> dict[int, float]:
    """Give the median time to answer (ms) of each part of `slot_s` seconds since a time, by the part's number from 0."""
    rows = await SERVICES.list_latencies.rows(
        db, service_id=service_id, since=since, now=now, slot_s=slot_s
    )
    return {row["slot"]: row["median_ms"] for row in rows}


async def list_panels(
    db: Executor, service_id: int, *, inactive_too: bool, limit: int = 500, offset: int = 0
) -> tuple[list[Panel], int]:
    """Give a page of a service's panels and the number of all."""
    rows = await SERVICES.list_panels.rows(
        db, service_id=service_id, inactive_too=inactive_too, limit=limit, offset=offset
    )
    total: int = await SERVICES.count_panels.value(
        db, service_id=service_id, inactive_too=inactive_too
    )
    return [build(Panel, row) for row in rows], total


async def list_active_panels(db: Executor, service_ids: list[int]) -> dict[int, list[Panel]]:
    """Give the active panels of some services, by service."""
    panels: dict[int, list[Panel]] = {}
    for row in await SERVICES.list_active_panels.rows(db, service_ids=service_ids):
        panels.setdefault(row["service_id"], []).append(build(Panel, row))
    return panels


async def find_panel(db: Executor, service_id: int, panel_id: int) -> Panel | None:
    """Give a panel of a service."""
    return _panel(await SERVICES.get_panel.row(db, service_id=service_id, panel_id=panel_id))


async def insert_panel(db: Executor, service_id: int, new: NewPanel) -> Panel | None:
    """Add a panel by hand; None when the service has one with this key."""
    row = await SERVICES.insert_panel.row(
        db,
        service_id=service_id,
        key=new.key,
        name=new.name,
        populations=new.populations,
        builds=new.builds,
        version=new.version,
        is_active=new.is_active,
    )
    return _panel(row)


async def update_panel(db: Executor, panel: Panel) -> Panel | None:
    """Write what administrators set about a panel."""
    row = await SERVICES.update_panel.row(
        db,
        service_id=panel.service_id,
        panel_id=panel.id,
        name=panel.name,
        populations=panel.populations,
        builds=panel.builds,
        version=panel.version,
        is_active=panel.is_active,
        source=panel.source,
    )
    return _panel(row)


async def delete_panel(db: Executor, service_id: int, panel_id: int) -> bool:
    """Remove a panel; False when there is none."""
    gone = await SERVICES.delete_panel.value(db, service_id=service_id, panel_id=panel_id)
    return gone is not None


async def release_panels(db: Executor, service_id: int, keys: list[str]) -> None:
    """Let the service's own list replace panels that were entered by hand."""
    await SERVICES.release_panels.run(db, service_id=service_id, keys=keys)


async def upsert_live_panel(db: Executor, service_id: int, new: NewPanel) -> None:
    """Write a panel as the service lists it; one entered by hand keeps what was entered."""
    await SERVICES.upsert_live_panel.run(
        db,
        service_id=service_id,
        key=new.key,
        name=new.name,
        populations=new.populations,
        builds=new.builds,
        version=new.version,
    )


async def put_live_panel(db: Executor, service_id: int, new: NewPanel) -> None:
    """Bring a panel up to date with how the service lists it: one of another version becomes another row."""
    one = {"service_id": service_id, "key": new.key, "version": new.version}
    await SERVICES.supersede_panel.run(db, **one)
    await SERVICES.restore_panel.run(db, **one)
    await upsert_live_panel(db, service_id, new)


async def retire_live_panels(db: Executor, service_id: int, keys: list[str]) -> list[str]:
    """Switch off the panels that the service does not list (any longer); give their keys."""
    rows = await SERVICES.retire_live_panels.rows(db, service_id=service_id, keys=keys)
    return [row["key"] for row in rows]
