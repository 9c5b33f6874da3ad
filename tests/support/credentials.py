"""What tests of credentials need: tokens that say something, and hands that store, open and move."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.core.models import Service, build
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from tests.fakes.cloudgene import GOOD_TOKEN
from tests.support.api import Answer, Api
from tests.support.people import Person

PATH = "/users/me/service-credentials"


def jwt_token(**claims: object) -> str:
    """Give a token that looks like a JWT; nobody has signed it."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


def in_days(days: float) -> datetime:
    """Give that time, without parts of a second."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


async def store(
    client: Api, person: Person, service: Service, token: str = GOOD_TOKEN, **more: Any
) -> Answer:
    """Store a person's token for a service over HTTP."""
    body = {"service_id": service.id, "api_token": token, **more}
    return await client.post(PATH, json=body, as_=person)


async def opened_token(deps: Deps, service_id: int, person: Person) -> str | None:
    """Give the token that a person's jobs would be sent with."""
    row = await deps.pool.fetchrow("select * from services where id = $1", service_id)
    opened = await open_credential(deps, build(Service, row), person.id)
    return opened.credential.token if opened.credential else None


async def move(deps: Deps, service: Service, url: str) -> None:
    """Let a service have another address."""
    await deps.pool.execute("update services set base_url = $1 where id = $2", url, service.id)
