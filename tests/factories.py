"""Things that tests need to be there: each function makes one, with what the test does not care about filled in."""

from itertools import count
from typing import Any

from app.core.models import Panel, Service, build
from app.db.accounts import NewUser, insert_user
from app.usecases.deps import Deps
from tests.support.people import PASSWORD_HASH, Person

_numbers = count(1)


async def make_person(
    deps: Deps, username: str, role: str = "user", email: str | None = ""
) -> Person:
    """Make somebody with an account (its password is `people.PASSWORD`) and a sign-in token."""
    address = f"{username}@example.org" if email == "" else email
    new = NewUser(username=username, password_hash=PASSWORD_HASH, role=role, email=address)
    user = await insert_user(deps.pool, new)
    assert user is not None, f"there is a {username} already"
    return Person(user, deps.tokens.issue(user.id, user.username, user.token_version, deps.now()))


async def make_service(deps: Deps, **fields: Any) -> Service:
    """Make a service; `fields` are columns of `services`."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "slug": f"service-{number}",
        "name": f"Service {number}",
        "api_type": "michigan",
        "base_url": "https://imputation.example.org",
        **fields,
    }
    names = ", ".join(values)
    marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    row = await deps.pool.fetchrow(
        f"insert into services ({names}) values ({marks}) returning *", *values.values()
    )
    return build(Service, row)


async def make_panel(deps: Deps, service: Service, **fields: Any) -> Panel:
    """Make a panel of a service; `fields` are columns of `reference_panels`."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "service_id": service.id,
        "key": f"apps@panel-{number}",
        "name": f"Panel {number}",
        "populations": [{"key": "eur", "label": "EUR"}, {"key": "mixed", "label": "Mixed"}],
        "builds": ["hg19", "hg38"],
        **fields,
    }
    names = ", ".join(values)
    marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    row = await deps.pool.fetchrow(
        f"insert into reference_panels ({names}) values ({marks}) returning *", *values.values()
    )
    return build(Panel, row)
