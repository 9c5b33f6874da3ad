"""Forms as bytes, and whole submissions over a connection of their own."""

import asyncio
from typing import Any

from tests.adversarial.wire import FORM, RawAnswer, connect, field, head
from tests.support.jobs import Desk
from tests.support.people import Person


def fields(desk: Desk, **more: str | bytes) -> bytes:
    values: dict[str, str | bytes] = {
        "service_id": str(desk.service.id),
        "reference_panel_id": str(desk.panel.id),
        "build": "hg19",
        **more,
    }
    return b"".join(field(name, value) for name, value in values.items())


def start(person: Person, length: int | None, kind: str = FORM, path: str = "/jobs") -> bytes:
    framing: dict[str, Any] = {"Content_Length": length}
    if length is None:
        framing = {"Transfer_Encoding": "chunked"}
    return head("POST", path, person.token, Content_Type=kind, **framing)


async def send(base: str, person: Person, body: bytes, **how: str) -> RawAnswer:
    """Send a whole form; give the answer."""
    async with connect(base) as wire:
        sending = asyncio.ensure_future(wire.send(start(person, len(body), **how) + body))
        answer = await wire.answer()
        sending.cancel()
        return answer
