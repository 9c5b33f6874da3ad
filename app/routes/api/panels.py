"""Reference panels of a service."""

from datetime import datetime
from typing import Annotated

import msgspec

from app.core.models import Panel
from app.usecases import panels as usecase
from app.usecases.panels import PanelFields
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_PANELS = f"/services/{{id:{INT}}}/reference-panels"
_PANEL = f"{_PANELS}/{{panel_id:{INT}}}"


class PanelOut(msgspec.Struct, frozen=True, kw_only=True):
    """A reference panel: `key` is what is submitted; empty `builds` means that the service does not tell."""

    id: int
    service_id: int
    key: str
    name: str
    populations: list[str]
    population_labels: dict[str, str]
    builds: list[str]
    version: str | None
    is_active: bool
    source: str
    """`live` when the service lists it itself, else `manual`."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, panel: Panel) -> "PanelOut":
        return cls(
            id=panel.id,
            service_id=panel.service_id,
            key=panel.key,
            name=panel.name,
            populations=[choice["key"] for choice in panel.populations],
            population_labels={item["key"]: item["label"] for item in panel.populations},
            builds=panel.builds,
            version=panel.version,
            is_active=panel.is_active,
            source=panel.source,
            created_at=panel.created_at,
            updated_at=panel.updated_at,
        )


class PanelIn(PanelFields, frozen=True, kw_only=True):
    """A new panel; its name is its key when absent."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class SyncedOut(msgspec.Struct, frozen=True):
    """The panels as they now stand, and the keys of those that the service no longer lists."""

    panels: list[PanelOut]
    retired: list[str]


async def list_all(call: Call) -> Page:
    query: Paging = call.query
    panels, total = await usecase.list_panels(
        call.deps, call.actor, call.path_int("id"), limit=query.limit, offset=query.offset
    )
    return Page([PanelOut.of(panel) for panel in panels], total)


async def create(call: Call) -> PanelOut:
    body: PanelIn = call.body
    panel = await usecase.create_panel(
        call.deps, call.actor, call.path_int("id"), body.key, body, once=call.once(PanelOut.of)
    )
    return PanelOut.of(panel)


async def change(call: Call) -> PanelOut:
    fields: PanelFields = call.body
    panel = await usecase.change_panel(
        call.deps, call.actor, call.path_int("id"), call.path_int("panel_id"), fields
    )
    return PanelOut.of(panel)


async def delete(call: Call) -> None:
    await usecase.delete_panel(
        call.deps, call.actor, call.path_int("id"), call.path_int("panel_id")
    )


async def sync(call: Call) -> SyncedOut:
    synced = await usecase.sync_panels(call.deps, call.actor, call.path_int("id"))
    return SyncedOut([PanelOut.of(panel) for panel in synced.panels], synced.retired)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PANELS,
        list_all,
        "panels.list",
        "The reference panels of a service",
        query=Paging,
        response=list[PanelOut],
        tag="panels",
    ),
    Endpoint(
        "POST",
        _PANELS,
        create,
        "panels.create",
        "Add a panel by hand",
        access=Access.ADMIN,
        body=PanelIn,
        response=PanelOut,
        status=201,
        creates=True,
        tag="panels",
    ),
    Endpoint(
        "POST",
        f"{_PANELS}/sync",
        sync,
        "panels.sync",
        "Ask the service what it offers, and keep it",
        access=Access.ADMIN,
        response=SyncedOut,
        tag="panels",
        per_minute=10,
    ),
    Endpoint(
        "PATCH",
        _PANEL,
        change,
        "panels.change",
        "Change a panel; it then counts as entered by hand",
        access=Access.ADMIN,
        body=PanelFields,
        response=PanelOut,
        tag="panels",
    ),
    Endpoint(
        "DELETE",
        _PANEL,
        delete,
        "panels.delete",
        "Remove a panel",
        access=Access.ADMIN,
        status=204,
        tag="panels",
    ),
)
