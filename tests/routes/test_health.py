"""A service's health over HTTP: now, its history, its uptime and incidents."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.models import Service
from app.db.services import list_spans
from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Api
from tests.support.people import Person

MINUTE = timedelta(minutes=1)
WORDS = {"u": "up", "d": "down", "m": "maintenance", "?": "unknown"}


@pytest.fixture
async def service(deps: Deps) -> Service:
    return await factories.make_service(deps)


async def looks(deps: Deps, service: Service, states: str, *, ago: timedelta) -> datetime:
    """Note one look a minute, the first `ago`: u(p), d(own), m(aintenance), ? (unknown), - (nobody looked). Give its time."""
    began = deps.now() - ago
    await deps.pool.executemany(
        "insert into service_health (service_id, checked_at, state, latency_ms, message) values ($1, $2, $3, $4, $5)",
        [
            (
                service.id,
                began + place * MINUTE,
                WORDS[letter],
                float(place) if letter == "u" else None,
                f"look {place}" if letter in "dm?" else None,
            )
            for place, letter in enumerate(states)
            if letter != "-"
        ],
    )
    return began


async def health(client: Api, person: Person, service: Service, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/services/{service.id}/health{query}", as_=person)
    assert answer.status == 200, answer.text
    return dict(answer.json())


async def test_health_when_nobody_looked_then_nothing_is_known(
    client: Api, alice: Person, service: Service
) -> None:
    said = await health(client, alice, service)
    assert said["state"] == "unknown"
    assert said["uptime"] == {"24h": None, "7d": None, "30d": None}
    assert said["latency_24h"] == {"looks": 0, "median_ms": None, "p95_ms": None}
    assert (said["incidents"], said["history"]) == ([], [])


async def test_health_when_down_for_a_while_then_uptime_and_incidents_say_so(
    client: Api, alice: Person, service: Service, deps: Deps
) -> None:
    other = await factories.make_service(deps)
    await looks(deps, other, "d" * 50, ago=50 * MINUTE)
    await looks(deps, service, "u" * 60 + "?dddd" + "mmm" + "u" * 12, ago=80 * MINUTE)
    said = await health(client, alice, service)
    assert said["uptime"]["24h"] == pytest.approx(72 / 76)
    assert said["uptime"]["24h"] == said["uptime"]["30d"]
    maintenance, outage = said["incidents"]
    assert (maintenance["state"], maintenance["duration_s"]) == ("maintenance", 180.0)
    assert (outage["state"], outage["duration_s"], outage["message"]) == ("down", 240.0, "look 64")
    assert outage["ended_at"] == maintenance["began_at"]
    assert said["latency_24h"]["looks"] == 72
    assert said["latency_24h"]["median_ms"] == pytest.approx(35.5)
    assert said["latency_24h"]["p95_ms"] > 70
    assert (await health(client, alice, other))["uptime"]["24h"] == 0.0


async def test_health_when_it_is_down_now_then_the_incident_has_no_end(
    client: Api, alice: Person, service: Service, deps: Deps
) -> None:
    await looks(deps, service, "uudd", ago=4 * MINUTE)
    (incident,) = (await health(client, alice, service))["incidents"]
    assert incident["ended_at"] is None
    assert incident["duration_s"] == pytest.approx(120, abs=30)


async def test_health_when_nobody_looked_for_hours_then_that_time_is_not_known(
    client: Api, alice: Person, service: Service, deps: Deps
) -> None:
    await looks(deps, service, "uuuu" + "-" * 300 + "dddd", ago=308 * MINUTE)
    said = await health(client, alice, service)
    assert said["uptime"]["24h"] == pytest.approx(6 / 10, abs=0.01), "a look is good for 3 minutes"
    assert len(said["incidents"]) == 1


async def test_health_when_old_looks_lie_outside_the_windows_then_they_do_not_count(
    client: Api, alice: Person, service: Service, deps: Deps
) -> None:
    await looks(deps, service, "d" * 10, ago=timedelta(days=31))
    await looks(deps, service, "d" * 10, ago=timedelta(days=3))
    await looks(deps, service, "u" * 10, ago=10 * MINUTE)
    said = await health(client, alice, service)
    assert said["uptime"]["24h"] == 1.0
    assert 0.4 < said["uptime"]["7d"] < 0.6
    assert said["uptime"]["7d"] == said["uptime"]["30d"]
    assert len(said["incidents"]) == 1


async def test_health_when_it_flaps_then_the_last_incidents_alone_are_listed(
    client: Api, alice: Person, service: Service, deps: Deps
) -> None:
    await looks(deps, service, "du" * 60, ago=120 * MINUTE)
    said = await health(client, alice, service, "?limit=3")
    assert len(said["incidents"]) == 20
    begun = [item["began_at"] for item in said["incidents"]]
    assert begun == sorted(begun, reverse=True)
    assert said["uptime"]["24h"] == pytest.approx(0.5, abs=0.01)
    assert len(said["history"]) == 3
    further = await health(client, alice, service, "?limit=3&offset=3")
    times = [item["checked_at"] for item in said["history"] + further["history"]]
    assert times == sorted(set(times), reverse=True)


def naive(
    letters: str, began: datetime, now: datetime, gap: timedelta
) -> list[tuple[str, datetime, datetime]]:
    """Spans as one would make them by hand, look by look."""
    seen = [(began + n * MINUTE, WORDS[letter]) for n, letter in enumerate(letters) if letter != "-"]  # fmt: skip
    spans: list[tuple[str, datetime, datetime]] = []
    for place, (at, state) in enumerate(seen):
        until = min(seen[place + 1][0] if place + 1 < len(seen) else now, at + gap)
        if spans and spans[-1][0] == state and spans[-1][2] == at:
            spans[-1] = (state, spans[-1][1], until)
        else:
            spans.append((state, at, until))
    return spans


async def test_spans_when_made_by_the_database_then_the_same_as_by_hand(deps: Deps) -> None:
    chance = random.Random(7)
    gap = timedelta(minutes=3)
    for _ in range(25):
        service = await factories.make_service(deps)
        letters = "".join(chance.choices("uudm?-", k=chance.randrange(0, 60)))
        ago = timedelta(minutes=len(letters) + chance.randrange(0, 5))
        began = await looks(deps, service, letters, ago=ago)
        now = began + ago
        spans = await list_spans(deps.pool, service.id, now - timedelta(days=1), now, gap)
        made = [(span.state, span.began_at, span.ended_at) for span in spans]
        assert made == naive(letters, began, now, gap), letters


async def test_health_when_thirty_five_days_are_kept_then_the_index_is_used(
    deps: Deps, service: Service
) -> None:
    await deps.pool.execute(
        "insert into service_health (service_id, checked_at, state, latency_ms)"
        " select $1, now() - n * interval '1 minute', 'up', 5 from generate_series(1, 20000) n",
        service.id,
    )
    for _ in range(20):
        await looks(deps, await factories.make_service(deps), "u" * 500, ago=600 * MINUTE)
    await deps.pool.execute("analyze service_health")
    plan = await deps.pool.fetch(
        "explain select * from service_health where service_id = $1 order by checked_at desc, id desc limit 50",
        service.id,
    )
    assert "service_health_recent" in "\n".join(row[0] for row in plan)


async def test_health_when_not_signed_in_or_no_service_then_is_refused(
    client: Api, alice: Person, service: Service
) -> None:
    assert (await client.get(f"/services/{service.id}/health")).status == 401
    assert (await client.get("/services/999/health", as_=alice)).status == 404
