"""What tests of batches need to be there: forms with targets."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from tests.support.api import Answer, Api
from tests.support.jobs import Desk, job_form
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
