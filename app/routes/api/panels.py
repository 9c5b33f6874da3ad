"""The reference panels of a service."""

from datetime import datetime
from typing import Annotated

import msgspec

from app.core.models import Panel
from app.usecases import panels
from app.usecases.panels import PanelChange, PanelIn
from app.usecases.syncing import Synced, sync_panels
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_ALL = f"/services/{{service_id:{INT}}}/reference-panels"
_ONE = f"{_ALL}/{{panel_id:{INT}}}"


class PopulationOut(msgspec.Struct, frozen=True):
    """A population to compare allele frequencies with: `key` is submitted, `label` is shown."""

    key: str
    label: str


class PanelOut(msgspec.Struct, frozen=True, kw_only=True):
    """A reference panel. `key` is what is submitted; empty `builds`: the service does not tell; `source` is manual or live."""

    id: int
    service_id: int
    key: str
    name: str
    populations: list[PopulationOut]
    builds: list[str]
    version: str | None
    is_active: bool
    source: str
    retired_at: datetime | None
    """The service no longer lists it, or lists another version of it, since then; jobs that used it keep it."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, panel: Panel) -> "PanelOut":
        return msgspec.convert(panel, cls, from_attributes=True)


class SyncedOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a service said of its panels. Keys: `added` are new, `retired` vanished, `unlisted` stay active by hand."""

    service_id: int
    read_at: datetime
    app_id: str | None
    app_version: str | None
    dialect: str | None
    warnings: list[str]
    panels: list[PanelOut]
    added: list[str]
    retired: list[str]
    unlisted: list[str]

    @classmethod
    def of(cls, synced: Synced) -> "SyncedOut":
        return cls(
            service_id=synced.service.id,
            read_at=synced.read_at,
            app_id=synced.app_id,
            app_version=synced.app_version,
            dialect=synced.dialect,
            warnings=synced.warnings,
            panels=[PanelOut.of(panel) for panel in synced.panels],
            added=synced.added,
            retired=synced.retired,
            unlisted=synced.unlisted,
        )


class PanelsQuery(Paging, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    include_inactive: bool = False


async def list_all(call: Call) -> Page:
    query: PanelsQuery = call.query
    found, total = await panels.list_panels(
        call.deps,
        call.path_int("service_id"),
        inactive_too=query.include_inactive,
        limit=query.limit,
        offset=query.offset,
    )
    return Page([PanelOut.of(panel) for panel in found], total)


async def add(call: Call) -> PanelOut:
    body: PanelIn = call.body
    return PanelOut.of(
        await panels.add_panel(
            call.deps,
            call.actor,
            call.path_int("service_id"),
            body,
            once=call.once(PanelOut.of),
        )
    )


async def change(call: Call) -> PanelOut:
    body: PanelChange = call.body
    return PanelOut.of(
        await panels.change_panel(
            call.deps, call.actor, call.path_int("service_id"), call.path_int("panel_id"), body
        )
    )


async def delete(call: Call) -> None:
    await panels.delete_panel(
        call.deps, call.actor, call.path_int("service_id"), call.path_int("panel_id")
    )


async def sync(call: Call) -> SyncedOut:
    return SyncedOut.of(await sync_panels(call.deps, call.actor, call.path_int("service_id")))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _ALL,
        list_all,
        "panels.list",
        "The reference panels of a service, in the order of its form",
        query=PanelsQuery,
        response=list[PanelOut],
        tag="services",
    ),
    Endpoint(
        "POST",
        _ALL,
        add,
        "panels.add",
        "Enter a reference panel by hand",
        access=Access.ADMIN,
        body=PanelIn,
        response=PanelOut,
        status=201,
        creates=True,
        tag="services",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        change,
        "panels.change",
        "Change a reference panel; from then on it is kept by hand",
        access=Access.ADMIN,
        body=PanelChange,
        response=PanelOut,
        tag="services",
    ),
    Endpoint(
        "DELETE",
        _ONE,
        delete,
        "panels.delete",
        "Remove a reference panel",
        access=Access.ADMIN,
        status=204,
        tag="services",
    ),
    Endpoint(
        "POST",
        f"{_ALL}/sync",
        sync,
        "panels.sync",
        "Read the service's own list of reference panels, live",
        access=Access.ADMIN,
        response=SyncedOut,
        tag="services",
        per_minute=30,
    ),
)
