"""For those who run the platform: health, metrics, and the description of the API."""

import hashlib
import re
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest

from app.usecases.deps import Deps
from app.web.assets import ICONS_DIR, STATIC_DIR, load
from tests.support.api import Api
from tests.support.app import Redis, serve
from tests.support.people import Person
from tests.web.test_problems import problem

VIEWER = "vendor/rapidoc-9.3.8.min.js"


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live", "/api/health"])
async def test_health_when_all_is_well_then_200(client: Api, path: str) -> None:
    answer = await client.get(path)

    assert answer.status == 200
    assert answer.json()["status"] == "ok"


async def test_ready_when_redis_is_away_then_503_says_what(deps: Deps) -> None:
    redis = Redis()
    redis.answers = False
    async with serve(deps, redis) as (_, base), aiohttp.ClientSession() as session:
        ready = await Api(session, base).get("/health/ready")
        live = await Api(session, base).get("/health/live")

    assert ready.status == 503
    assert ready.json()["checks"] == {"database": "ok", "redis": "failing", "storage": "ok"}
    assert live.status == 200


async def test_ready_when_storage_cannot_be_written_then_503(
    client: Api, deps: Deps, tmp_path: Path
) -> None:
    gone = replace(deps, store=type(deps.store)(tmp_path / "s", 2**62))
    async with serve(gone) as (_, base), aiohttp.ClientSession() as session:
        answer = await Api(session, base).get("/health/ready")

    assert answer.status == 503
    assert answer.json()["checks"]["storage"] == "failing"


async def test_ready_when_the_database_is_away_then_503(client: Api, deps: Deps) -> None:
    await deps.pool.close()

    answer = await client.get("/health/ready")

    assert answer.status == 503
    assert answer.json()["checks"]["database"] == "failing"
    assert (await client.get("/health/live")).status == 200


async def test_metrics_when_read_on_the_machine_then_routes_are_patterns(
    client: Api, alice: Person
) -> None:
    await client.get("/services/424242", as_=alice)
    await client.get("/nowhere/at/all")

    answer = await client.get("/metrics")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'route="unmatched"' in answer.text
    assert re.search(r'fip_http_requests_total\{method="GET",route="/services/', answer.text)
    # A measured number may hold any digits, "424242" among them; what is said of a request is in names and labels.
    said = re.sub(r" [-+.\deE]+$", "", answer.text, flags=re.MULTILINE)
    assert said.count("\n") == answer.text.count("\n")
    for secret in ("424242", "/nowhere", "alice", alice.token):
        assert secret not in said


async def test_metrics_when_asked_from_elsewhere_then_only_with_the_token(deps: Deps) -> None:
    settings = replace(
        deps.settings,
        trusted_proxies=(ip_network("127.0.0.0/8"),),
        metrics_token="scrape-me-please",
    )
    afar = {"X-Forwarded-For": "198.51.100.7"}
    changed = replace(deps, settings=settings)
    async with serve(changed) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        refused = await api.get("/metrics", headers=afar)
        wrong = await api.get("/metrics", headers={**afar, "Authorization": "Bearer wrong"})
        right = await api.get(
            "/metrics", headers={**afar, "Authorization": "Bearer scrape-me-please"}
        )

    problem(refused, 403, "forbidden")
    problem(wrong, 403, "forbidden")
    assert right.status == 200


async def test_metrics_when_behind_a_proxy_nobody_named_then_refused(client: Api) -> None:
    answer = await client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})

    problem(answer, 403, "forbidden")


async def test_metrics_when_no_token_is_set_then_an_empty_one_opens_nothing(client: Api) -> None:
    headers = {"X-Forwarded-For": "127.0.0.1", "Authorization": "Bearer "}

    problem(await client.get("/metrics", headers=headers), 403, "forbidden")


async def test_docs_when_opened_then_everything_comes_from_here(client: Api) -> None:
    page = await client.get("/docs")
    sources = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)

    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert not re.search(r"https?:|\*|unsafe-eval|unsafe-hashes", policy)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text), "no inline script"
    assert not re.search(r"\son\w+=", page.text), "no inline handler"
    assert load().url(VIEWER) in sources
    for source in sources:
        assert source.startswith("/")
        assert (await client.get(source)).status == 200


async def test_viewer_when_served_then_it_is_the_file_that_was_vendored(client: Api) -> None:
    answer = await client.get(load().url(VIEWER))

    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in answer.headers["Cache-Control"]
    listed = (STATIC_DIR / "vendor" / "VENDOR.md").read_text()
    assert hashlib.sha256(answer.body).hexdigest() in listed


def test_vendored_files_when_listed_then_each_has_its_version_licence_and_hash() -> None:
    listed = (STATIC_DIR / "vendor" / "VENDOR.md").read_text()
    for file in (path for path in (STATIC_DIR / "vendor").iterdir() if path != ICONS_DIR):
        if file.name == "VENDOR.md" or file.name.endswith(".LICENSE.txt"):
            continue
        row = next(line for line in listed.splitlines() if f"`{file.name}`" in line)
        assert hashlib.sha256(file.read_bytes()).hexdigest() in row
        assert re.search(r"-\d+\.\d+", file.name), "the version stands in the name"


def test_icons_when_vendored_then_they_are_those_that_are_listed() -> None:
    together = hashlib.sha256()
    for file in sorted(ICONS_DIR.glob("*.svg")):
        together.update(file.name.encode() + b"\n" + file.read_bytes())

    assert together.hexdigest() in (STATIC_DIR / "vendor" / "VENDOR.md").read_text()


async def test_path_when_it_ends_with_a_slash_then_is_the_same(client: Api) -> None:
    for path in ("/services/", "/api/services/", "/health/live/"):
        assert (await client.get(path)).status == 200
