"""The log of acts."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from app.db.audit import AuditEntry
from app.usecases import audit
from app.web.endpoint import Access, Call, Endpoint, Id, Page, Paging


class AuditOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which thing, from where, when."""

    id: int
    user_id: int | None
    action: str
    resource_type: str | None
    resource_id: str | None
    details: dict[str, Any]
    address: str | None
    timestamp: datetime


class OwnAuditQuery(Paging, frozen=True, kw_only=True):
    action: Annotated[str, msgspec.Meta(max_length=100)] | None = None


class AuditQuery(OwnAuditQuery, frozen=True, kw_only=True):
    user_id: Id | None = None


def _page(found: tuple[list[AuditEntry], int]) -> Page:
    entries, total = found
    return Page(
        [msgspec.convert(entry, AuditOut, from_attributes=True) for entry in entries], total
    )


async def list_own(call: Call) -> Page:
    query: OwnAuditQuery = call.query
    return _page(
        await audit.list_own(
            call.deps, call.actor, action=query.action, limit=query.limit, offset=query.offset
        )
    )


async def list_all(call: Call) -> Page:
    query: AuditQuery = call.query
    return _page(
        await audit.list_all(
            call.deps,
            user_id=query.user_id,
            action=query.action,
            limit=query.limit,
            offset=query.offset,
        )
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/users/me/audit",
        list_own,
        "audit.list_own",
        "What was done with the own account, newest first",
        query=OwnAuditQuery,
        response=list[AuditOut],
        tag="audit",
    ),
    Endpoint(
        "GET",
        "/audit",
        list_all,
        "audit.list_all",
        "What everybody did, newest first",
        access=Access.ADMIN,
        query=AuditQuery,
        response=list[AuditOut],
        tag="audit",
    ),
)
