"""Another person's things do not exist: every route that names one is walked by a colleague, a stranger and an administrator."""

from typing import Any

from app.routes.table import ENDPOINTS, methods_of
from app.usecases.deps import Deps
from app.web.endpoint import Access, Endpoint
from tests.guards.conftest import OWNED, Belongings, state
from tests.support.api import Api
from tests.support.people import Person
from tests.web.test_problems import problem

# What belongs to everybody (administrators change it).
COMMON = ("/services/{", "/users/{id")

NAMING = [item for item in ENDPOINTS if "{" in item.path and item.access is not Access.PUBLIC]
WALKED = [item for item in NAMING if item.path.startswith(OWNED)]


# What those take that do not take an empty object.
BODIES: dict[str, object] = {"jobs.adopt": {"external_job_id": "run-1"}}


def body_of(endpoint: Endpoint) -> dict[str, Any]:
    """Give a body that the endpoint takes, as options of the client."""
    return {} if endpoint.body is None else {"json": BODIES.get(endpoint.name, {})}


def test_routes_when_a_path_names_something_then_it_is_known_whose_it_is() -> None:
    for item in NAMING:
        assert item.path.startswith(OWNED + COMMON), f"whose is it? {item.path}"


async def test_things_when_somebody_else_asks_then_they_do_not_exist(
    client: Api,
    deps: Deps,
    belongings: Belongings,
    bob: Person,
    charlie: Person,
    admin: Person,
) -> None:
    before = await state(deps)

    for item in WALKED:
        path = belongings.path(item)
        for method in methods_of(item):
            for person in (bob, charlie, admin):
                options = body_of(item)
                answer = await client.request(method, path, as_=person, **options)
                assert answer.status == 404, f"{person.user.username}: {method} {path}"
                if method != "HEAD":
                    problem(answer, 404, answer.json()["code"])

    assert await state(deps) == before


async def test_things_when_somebody_else_asks_then_they_look_like_things_that_never_were(
    client: Api, belongings: Belongings, bob: Person
) -> None:
    nothing = Belongings(
        {start: "0" if isinstance(thing, int) else "0f3c1a52-5b1e-4a0c-9a2e-7d7f3b8e1c11"
         for start, thing in belongings.ids.items()},
        dict.fromkeys(belongings.parts, 0),
    )  # fmt: skip
    for item in WALKED:
        options = body_of(item)
        real = await client.request(item.method, belongings.path(item), as_=bob, **options)
        made_up = await client.request(item.method, nothing.path(item), as_=bob, **options)
        shown = [{**answer.json(), "request_id": ""} for answer in (real, made_up)]
        assert shown[0] == shown[1], item.path


async def test_things_when_their_owner_asks_then_they_are_there(
    client: Api, belongings: Belongings, alice: Person
) -> None:
    for item in WALKED:
        if item.method == "GET" and item.content == "application/json":
            answer = await client.get(
                belongings.path(item), as_=alice, headers={"Accept": "application/json"}
            )
            # 202: it is being computed
            assert answer.status in (200, 202), f"{item.path}: {answer.text}"


async def test_lists_when_somebody_else_asks_then_they_are_empty(
    client: Api, belongings: Belongings, bob: Person
) -> None:
    for path in ("/jobs", "/files", "/notifications", "/batches", "/users/me/service-credentials"):
        answer = await client.get(path, as_=bob)
        assert answer.json() == [], path
        assert answer.headers["X-Total-Count"] == "0"
