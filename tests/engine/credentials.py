"""What tests of the watch over credentials need: tokens with an end, notices counted, and time that passes."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from datetime import datetime

from app.usecases.credential_checks import check_credentials
from app.usecases.credential_watch import follow_stored, watch_ends
from app.usecases.deps import Actor
from app.usecases.own_credentials import GivenCredential, store_credential
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.jobs import Desk
from tests.support.people import Person

SHARED = {"credential_policy": "shared", "credential_kind": "token"}


def jwt(ends: datetime, owner: str = "researcher") -> str:
    """Give a token that says when it ends."""

    def part(value: object) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'exp': int(ends.timestamp()), 'sub': owner})}.c2ln"


async def store(stage: Stage, person: Person, desk: Desk, token: str, *, good: bool = True) -> int:
    """Let a person store a token; give the credential's id."""
    if good:
        stage.service.tokens[token] = "researcher"
    given = GivenCredential(api_token=token)
    held = await store_credential(stage.deps, Actor(person.user), desk.service.id, given, "")
    return held.stored.id


async def told(stage: Stage, person: Person) -> Counter[str]:
    """Count a person's notices; each must be an e-mail too."""
    count = "select {0} as type from {1} where user_id = $1 and {0} like 'credential_%'"
    pool = stage.deps.pool
    web = await pool.fetch(count.format("type", "notifications"), person.id)
    mail = await pool.fetch(count.format("template", "outbox"), person.id)
    assert Counter(row["type"] for row in web) == Counter(row["type"] for row in mail)
    return Counter(row["type"] for row in web)


async def watch(stage: Stage, **by: float) -> None:
    """Let time pass, and two processes look at the ends at the same time."""
    stage.clock.move(**by)
    processes = [stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two", "three")]
    await asyncio.gather(*(watch_ends(process) for process in processes))
    await watch_ends(stage.deps)


async def check(stage: Stage, **by: float) -> int:
    """Let time pass, and the credentials that are due be tried; give how many were."""
    await follow_stored(stage.deps)
    stage.clock.move(**by)
    return await check_credentials(stage.deps)
