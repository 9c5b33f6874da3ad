"""What tests of batches need to be there: forms with targets, and ends of their jobs."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import aiohttp

from app.db.jobs import find_own_job
from app.usecases.deps import Deps
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, finish, job_form
from tests.support.people import Person


def target(desk: Desk, **fields: Any) -> dict[str, Any]:
    """Give a target; `fields` are its own."""
    return {"service_id": desk.service.id, "reference_panel_id": desk.panel.id, **fields}


def batch_form(
    targets: Sequence[dict[str, Any]] | str, *files: bytes, **fields: Any
) -> aiohttp.FormData:
    """Give a form with targets (an empty text leaves them out) before the file; `fields` as of `job_form`."""
    text = targets if isinstance(targets, str) else json.dumps(targets)
    values = {"targets": text or None, **fields}
    return job_form(None, *files, **values)


async def submit_batch(
    client: Api,
    person: Person,
    targets: Sequence[dict[str, Any]] | str,
    *files: bytes,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """Submit a batch over HTTP."""
    form = batch_form(targets, *files, **fields)
    return await client.post("/jobs", as_=person, data=form, headers=headers)


async def made(answer: Answer) -> dict[str, Any]:
    """Give the batch that an answer shows."""
    assert answer.status == 201, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


async def end(deps: Deps, batch: dict[str, Any], *statuses: str) -> None:
    """End the jobs of a batch; «open» leaves one as it is."""
    for shown, status in zip(batch["jobs"], statuses, strict=True):
        if status != "open":
            job = await find_own_job(deps.pool, UUID(shown["id"]), shown["user_id"])
            assert job is not None
            await finish(deps, job, status)
