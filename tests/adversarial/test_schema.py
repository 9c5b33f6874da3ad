"""Requests made from the description of the API, valid and broken, boundaries first: no 5xx, whoever sends them.

Schemathesis' engine walks every operation: its coverage phase sends each boundary of each parameter, wrong types, missing and doubled
parameters, wrong methods and kinds; its fuzzing phase sends random ones. The server runs in this process, the engine in a thread.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest
import schemathesis
from aiohttp import web
from schemathesis.engine import events, from_schema

from app.core.throttle import TokenBuckets
from app.db.jobs import find_own_job
from app.keys import EVENTS
from app.routes.table import ENDPOINTS, openapi_document
from app.usecases.deps import Deps
from app.web.endpoint import Access
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.support.api import Api
from tests.support.jobs import complete, make_desk, submitted
from tests.support.people import Person

TOLD = {"service_unavailable", "service_quota_full", "service_maintenance"}
"""Codes of a 503 that is an answer: the service behind us was asked and is away."""


@dataclass
class Findings:
    """What came of a run."""

    statuses: Counter[int] = field(default_factory=Counter)
    operations: dict[str, set[int]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def run(
    base: str, settings: dict[str, Any], sign_in: Any, only: set[str] | None = None
) -> Findings:
    """Run the engine to its end (blocks). `sign_in` gives a token, or is None."""
    config = schemathesis.Config.from_dict(
        {
            "seed": 20,
            "base-url": base,
            "request-timeout": 20,
            "continue-on-failure": True,
            "checks": {"positive_data_acceptance": {"enabled": False}},
            **settings,
        }
    )
    schema = schemathesis.openapi.from_dict(msgspec.json.decode(openapi_document()), config=config)
    if only is not None:
        schema = cast("Any", schema.include(operation_id=sorted(only)))
    if sign_in is not None:

        @schema.auth(refresh_interval=None)
        class SignIn:
            def get(self, _case: Any, _context: Any) -> str:
                return str(sign_in())

            def set(self, case: Any, token: str, _context: Any) -> None:
                case.headers = case.headers or {}
                case.headers["Authorization"] = f"Bearer {token}"

    found = Findings()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.errors.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            _note(found, event)
    return found


def _note(found: Findings, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for interaction in recorder.interactions.values():
        status = interaction.response.status_code if interaction.response else 0
        found.statuses[status] += 1
        found.operations.setdefault(recorder.label or "?", set()).add(status)
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            response = recorder.interactions[case_id].response
            if response is not None and response.status_code == 503 and _code(response) in TOLD:
                continue
            if check.name == "response_schema_conformance" and (recorder.label or "").endswith(
                "/events"
            ):
                continue  # OpenAPI 3.1 does not say what the schema of an event stream describes
            failure = check.failure_info
            told = f"{failure.failure.title}: {failure.failure.message}\n{failure.code_sample}"
            found.failures[recorder.label or "?", check.name] = told


def _code(response: Any) -> str:
    try:
        return str(msgspec.json.decode(response.content)["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


@pytest.fixture
async def ground(
    client: Api,
    deps: Deps,
    alice: Person,
    admin: Person,
    app_server: tuple[web.Application, str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[str]:
    """A platform with something of everything in it; give where it listens. Its streams end soon, its brakes are off."""
    monkeypatch.setattr(TokenBuckets, "take", lambda *_: 0.0)
    app, base = app_server

    async def end_streams() -> None:
        while True:
            await asyncio.sleep(0.02)
            for stream in app[EVENTS]._all():
                stream.close()

    async with FakeCloudgene() as remote:
        desk = await make_desk(deps, None, base_url=remote.url, allow_insecure=True)
        for person in (alice, admin):
            body = {"service_id": desk.service.id, "api_token": GOOD_TOKEN}
            await client.post("/users/me/service-credentials", as_=person, json=body)
            done = await complete(deps, await submitted(deps, client, person, desk))
            await submitted(deps, client, person, desk)
            assert await find_own_job(deps.pool, done.id, person.id)
        tasks = [asyncio.create_task(end_streams()), asyncio.create_task(app[EVENTS].run())]
        yield base
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def signer(deps: Deps, person: Person) -> Any:
    """Give what makes a fresh token at any time, for a thread: some operations end all tokens."""
    loop = asyncio.get_running_loop()

    async def fresh() -> str:
        version = await deps.pool.fetchval(
            "select token_version from users where id = $1", person.id
        )
        return deps.tokens.issue(person.id, person.user.username, version, deps.now())

    def sign_in() -> str:
        work: Coroutine[Any, Any, str] = fresh()
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    return sign_in


OTHER_PHASES = ("examples", "coverage", "fuzzing", "stateful")


def phase(name: str, examples: int = 1) -> dict[str, Any]:
    """Give the settings of a run of one phase alone."""
    return {
        "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
        "phases": {
            **{other: {"enabled": False} for other in OTHER_PHASES if other != name},
            **({"coverage": {"unexpected-methods": []}} if name == "coverage" else {}),
        },
    }


NAMES = {access: {item.name for item in ENDPOINTS if item.access is access} for access in Access}
EVERYTHING = set().union(*NAMES.values())
# Who asks; whose boundaries are all tried; how many random requests each operation gets.
RUNS = {
    "alice": (NAMES[Access.USER], 2),
    "an administrator": (NAMES[Access.ADMIN] | {"services.get", "services.list"}, 1),
    "nobody": (NAMES[Access.PUBLIC], 1),
}


@pytest.mark.parametrize("who", RUNS)
async def test_api_when_every_boundary_is_tried_then_no_5xx_and_answers_are_as_described(
    ground: str, deps: Deps, alice: Person, admin: Person, who: str
) -> None:
    person = {"alice": alice, "an administrator": admin}.get(who)
    sign_in = signer(deps, person) if person is not None else None
    bounded, examples = RUNS[who]
    for settings, only in ((phase("coverage"), bounded), (phase("fuzzing", examples), EVERYTHING)):
        found = await asyncio.to_thread(run, ground, settings, sign_in, only)
        assert found.errors == []
        assert not found.failures, "\n".join(
            f"{key}: {text}" for key, text in found.failures.items()
        )
        assert len(found.operations) == len(only)
        assert found.statuses[200] > 3, "some of it was good"
        assert found.statuses[400] + found.statuses[401] > 10, "much of it was bad"
