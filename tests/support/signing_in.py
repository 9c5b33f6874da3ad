"""What tests of accounts need: signing in, a platform under other settings, and the links that were mailed."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp

from app.security.passwords import Passwords
from app.usecases.deps import Deps
from app.usecases.outbox import deliver_due
from tests.support.api import Answer, Api
from tests.support.app import serve
from tests.support.people import PASSWORD


async def login(client: Api, username: str, password: str = PASSWORD) -> Answer:
    """Sign in."""
    return await client.post("/api/auth/login", json={"username": username, "password": password})


async def me(client: Api, token: str) -> Answer:
    """Ask who a token stands for."""
    return await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})


@asynccontextmanager
async def open_platform(deps: Deps, **changes: Any) -> AsyncIterator[Api]:
    """Give the platform under other settings."""
    settings = replace(deps.settings, **changes)
    passwords = Passwords(4, settings.login_attempts_per_minute)
    changed = replace(deps, settings=settings, passwords=passwords)
    async with serve(changed) as (_, base), aiohttp.ClientSession() as session:
        yield Api(session, base)


async def mailed_link(deps: Deps, recipient: str) -> str:
    """Deliver what is due; give the path, for programs, of the link in the newest e-mail to somebody."""
    await deliver_due(deps, 10)
    sent: list[Any] = deps.mailer.sent  # type: ignore[attr-defined]  # the recording mailer
    mail = next(item for item in reversed(sent) if item.recipient == recipient)
    found = re.search(r"http://platform\.test/ui/(password-reset|confirm-email)/(\S+)", mail.text)
    assert found, mail.text
    return f"/api/auth/{found[1].replace('confirm-email', 'email-confirm')}/{found[2]}"


async def actions(deps: Deps, user_id: int | None) -> list[str]:
    """Give what the audit log says that somebody did, the oldest first."""
    rows = await deps.pool.fetch(
        "select action from audit_logs where user_id is not distinct from $1 order by id", user_id
    )
    return [row["action"] for row in rows]
