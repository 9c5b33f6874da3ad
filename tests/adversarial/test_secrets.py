"""Secrets planted wherever there are any, then searched for wherever something is shown, logged, counted, mailed or stored.

A small world runs: jobs that succeed, fail, are refused, cannot be sent; a service that repeats everything it was told in its errors,
messages and logs; people who mistake one field for another. Then every place that anybody can read later is searched.
"""

import asyncio
import io
import logging
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from app.genotypes.testdata import write_test_files
from app.logs import configure_logging
from app.settings import Settings
from tests.adversarial.chatterbox import EchoingService, Recorder
from tests.adversarial.pages import look_at_pages
from tests.adversarial.places import files, mails, queue, spellings, tables
from tests.adversarial.wire import connect, head
from tests.support.client import Client
from tests.support.people import PASSWORD
from tests.support.world import World, open_world

JSON = {"Accept": "application/json"}
OPAQUE = "Zq8-PLANTED.opaque_5Fw7Kx2Vb9"
REJECTED = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.UmVqZWN0ZWRQTEFOVEVE"
SHARED = "h3a_PLANTEDshared0123456789abcdef"
WRONG_PASSWORD = "wrong-PLANTED-horse 9"
NEW_PASSWORD = "fresh-PLANTED-horse 10"
MISTAKEN = "PLANTED-typed-into-the-wrong-field-11"
METRICS_TOKEN = "metrics-PLANTED-token-12"


@pytest.fixture(autouse=True)
def logs() -> Iterator[io.StringIO]:
    """Everything that is logged, by us or by a library, at every level."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    sys.excepthook, threading.excepthook = before[2], before[3]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@dataclass
class Stage:
    """The world, with what listens to it and what must not be found."""

    world: World
    recorder: Recorder
    echo: EchoingService
    session: aiohttp.ClientSession
    file: Path
    secrets: dict[str, str] = field(default_factory=dict)

    async def person(self, name: str) -> Client:
        client = await self.world.client(name)
        client.session = self.session
        return client

    async def service(
        self, person: Client, base_url: str, token: str, name: str
    ) -> tuple[int, int]:
        """Make a service with one panel, and the person's token for it."""
        body = {
            "name": name, "slug": name, "api_type": "michigan", "base_url": base_url,
            "allow_insecure": True, "credential_kind": "token",
        }  # fmt: skip
        made = await self.world.admin.call("POST", "/services", json=body, expect=201)
        panel = {"key": "apps@h3africa-v6hc-s@1.0.0", "name": "A panel", "populations": ["afr"]}
        path = f"/services/{made['id']}/reference-panels"
        added = await self.world.admin.call("POST", path, json=panel, expect=201)
        await person.store_token(made["id"], token)
        return int(made["id"]), int(added["id"])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, metrics_token=METRICS_TOKEN)


@pytest.fixture
async def stage(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path, logs: io.StringIO
) -> AsyncIterator[Stage]:
    file = write_test_files(tmp_path / "input", None)[0].path
    recorder = Recorder()
    async with (
        open_world(settings, database_url, redis_url, tmp_path) as world,
        EchoingService() as echo,
        aiohttp.ClientSession(trace_configs=[recorder.trace()]) as session,
    ):
        for client in (world.alice, world.admin):
            client.session = session
        await world.alice.sign_in("alice", PASSWORD)
        yield Stage(world, recorder, echo, session, file)


async def listen(stage: Stage, client: Client) -> None:
    """Follow everything that is told live."""
    with suppress(asyncio.CancelledError):
        headers = {"Authorization": f"Bearer {client.token}"}
        async with stage.session.get(f"{stage.world.base}/events", headers=headers) as response:
            async for _ in response.content:
                pass


async def look_everywhere(client: Client) -> None:
    """Read whatever the person can read."""
    for path in (
        "/users/me",
        "/users/me/audit?limit=500",
        "/users/me/service-credentials",
        "/notifications?limit=500",
        "/files",
        "/services",
        "/jobs?limit=500",
    ):
        await client.call("GET", path, expect=200)
    for job in await client.call("GET", "/jobs?limit=500"):
        for part in ("", "/logs", "/files", "/status-updates?limit=500"):
            await client.call("GET", f"/jobs/{job['id']}{part}", expect=200)
        await client.call("GET", f"/jobs/{job['id']}/results", headers=JSON)
    for service in await client.call("GET", "/services"):
        await client.call("GET", f"/services/{service['id']}/health", expect=200)


async def succeed_and_fail(stage: Stage) -> None:
    world = stage.world
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    stage.secrets["token of the sandbox"] = sandbox.token
    await world.admin.call(
        "PATCH", f"/services/{ids[0]}", json={"api_config": {"api_token": SHARED}}
    )
    done = await world.alice.submit(*ids, stage.file)
    await world.alice.until_end(done["id"], "completed")
    sandbox.set_faults(job_error="strand_flips")
    failed = await world.alice.submit(*ids, stage.file)
    await world.alice.until_end(failed["id"], "failed")
    for place, job in enumerate(sandbox.jobs()):
        stage.secrets[f"archive password {place}"] = job.inputs["password"]
    results = await world.alice.call("GET", f"/jobs/{done['id']}/results", headers=JSON)
    stage.secrets["link to the results"] = results["download_url"].split("/")[-2]
    path = results["download_url"].partition("/files/")[2]
    async with stage.session.get(f"{world.base}/files/{path}") as response:
        assert response.status == 200
    bob = await stage.person("bob")
    await bob.store_token(ids[0], REJECTED)
    await bob.call(
        "POST",
        "/users/me/service-credentials/test",
        json={"service_id": ids[0], "api_token": REJECTED},
    )
    refused = await bob.submit(*ids, stage.file)
    await bob.until_end(refused["id"], "failed")
    await look_everywhere(bob)
    await look_at_pages(world, stage.session, bob)


async def meet_a_chatterbox(stage: Stage) -> None:
    """Every way in which a service may repeat what it was told."""
    alice = stage.world.alice
    ids = await stage.service(alice, stage.echo.url, OPAQUE, "chatterbox")
    held = (await alice.call("GET", "/users/me/service-credentials"))[-1]
    for how, is_valid in (
        ("accept", True),
        ("json", True),
        ("html", True),
        ("refuse", True),
        ("json", False),
    ):
        stage.echo.how, stage.echo.is_valid = how, is_valid
        await alice.store_token(ids[0], OPAQUE)  # a refusal is remembered until a new one comes
        credential = {"service_id": ids[0], "api_token": OPAQUE}
        await alice.call("POST", "/users/me/service-credentials/test", json=credential)
        await alice.call("POST", f"/users/me/service-credentials/{held['id']}/verify")
        await alice.store_token(ids[0], OPAQUE)
        job = await alice.submit(*ids, stage.file, name=how, population="afr")
        if how == "html":  # no clear answer: it is asked for again, until it is clear
            await alice.until_stage(job["id"], "confirming_submission")
            stage.echo.how = "json"
        await alice.until_end(job["id"], "failed")
    assert (
        len(stage.echo.heard) == 4
    )  # each job's own, aside from the one whose token was refused before
    for place, password in enumerate(sorted(stage.echo.heard)):
        stage.secrets[f"echoed password {place}"] = password


async def meet_nobody(stage: Stage) -> None:
    """A service that is not there; the job is held until it is given up."""
    alice = stage.world.alice
    ids = await stage.service(alice, "http://127.0.0.1:9", OPAQUE, "nobody")
    await stage.world.admin.call("POST", f"/services/{ids[0]}/reference-panels/sync")
    job = await alice.submit(*ids, stage.file, population="afr")
    await alice.until_stage(job["id"], "service_unavailable")
    await alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    await alice.until_end(job["id"], "cancelled")


async def mistake(stage: Stage) -> None:
    """What people type where it does not belong; nobody asked for it, and it must not be kept."""
    base, session = stage.world.base, stage.session
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/auth/login", {"json": {"username": "alice", "password": WRONG_PASSWORD}}),
        ("POST", "/api/auth/login", {"json": {"username": MISTAKEN, "password": "x"}}),
        ("POST", "/api/auth/login", {"json": {"username": 5, "password": MISTAKEN}}),
        ("POST", "/api/auth/login", {"data": f'{{"password": "{MISTAKEN}", '}),
        ("POST", "/api/auth/password-reset", {"json": {"username": MISTAKEN}}),
        ("GET", f"/jobs?token={MISTAKEN}", {}),
        ("GET", f"/nowhere/{MISTAKEN}", {}),
        ("GET", f"/files/download/{MISTAKEN}/x", {}),
        ("GET", f"/api/auth/password-reset/{MISTAKEN}", {}),
        ("GET", f"/ui/password-reset/{MISTAKEN}", {}),
        ("GET", f"/ui/confirm-email/{MISTAKEN}", {}),
        ("GET", f"/ui/setup/{MISTAKEN}", {}),
        ("GET", "/jobs", {"headers": {"User-Agent": MISTAKEN, "Referer": f"http://x/{MISTAKEN}"}}),
        ("GET", "/jobs", {"headers": {"Authorization": f"Basic {MISTAKEN}"}}),
        ("GET", "/jobs", {"headers": {"X-Auth-Token": MISTAKEN, "Cookie": f"session={MISTAKEN}"}}),
        ("GET", "/metrics", {"headers": {"Authorization": f"Bearer {MISTAKEN}"}}),
    ]
    for method, path, options in tries:
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        async with session.request(method, base + path, headers=headers, **options) as response:
            await response.read()
    cookie = {"Cookie": f"fip_session={stage.world.alice.token}"}
    forms: list[tuple[str, dict[str, str]]] = [
        ("/ui/sign-in", {"username": "alice", "password": WRONG_PASSWORD}),
        ("/ui/sign-in", {"username": "x", "password": MISTAKEN, "token": MISTAKEN}),
        ("/ui/register", {"username": "!", "password": MISTAKEN}),
        ("/ui/settings/password", {"current_password": WRONG_PASSWORD, "new_password": MISTAKEN}),
        ("/ui/settings/service-credentials/new", {"service_id": "1", "api_token": f"'{MISTAKEN}'", "password": MISTAKEN}),
    ]  # fmt: skip
    for path, fields in forms:
        async with session.post(
            base + path, data=fields, headers=cookie, allow_redirects=False
        ) as response:
            await response.read()
    async with connect(base) as wire:
        await wire.send(
            head("GET", "/jobs")[:-2] + f"Authorization: Bearer {MISTAKEN}\0\r\n\r\n".encode()
        )
        stage.recorder.answers.append(("/jobs", (await wire.rest()).decode()))
    wrong = {"service_id": 1, "api_token": f"'{MISTAKEN}'", "label": "x", "password": MISTAKEN}
    await stage.world.alice.call("POST", "/users/me/service-credentials", json=wrong)
    await stage.world.alice.call("PATCH", "/users/me", json={"email": MISTAKEN})
    config = {"api_config": {"password": MISTAKEN}}
    await stage.world.admin.call("PATCH", "/services/1", json=config)


async def forget_the_password(stage: Stage) -> str:
    """Ask for a reset, and use the link out of the mail; give its token."""
    world = stage.world
    await world.alice.call(
        "POST", "/api/auth/password-reset", json={"username": "alice"}, expect=202
    )
    outbox = world.platform.deps.settings.data_dir / "outbox"
    async with asyncio.timeout(10):
        while not (found := [text for text in mails(outbox) if "/password-reset/" in text]):
            await asyncio.sleep(0.05)
    match = re.search(r"/(?:api/auth|ui)/password-reset/([\w-]+)", found[0])
    assert match is not None
    await world.alice.call("GET", f"/api/auth/password-reset/{match[1]}", expect=200)
    path = f"/api/auth/password-reset/{match[1]}"
    answer = await world.alice.call("POST", path, json={"new_password": NEW_PASSWORD}, expect=200)
    world.alice.token = answer["access_token"]
    await world.alice.call("PATCH", "/users/me", json={"email": "new@example.org"}, expect=200)
    return match[1]


async def test_secrets_when_planted_everywhere_then_found_nowhere(
    stage: Stage, logs: io.StringIO, redis_url: str
) -> None:
    world = stage.world
    following = asyncio.create_task(listen(stage, world.alice))
    await asyncio.gather(succeed_and_fail(stage), meet_a_chatterbox(stage), meet_nobody(stage))
    await mistake(stage)
    await look_everywhere(world.alice)
    await look_everywhere(world.admin)
    await look_at_pages(world, stage.session, world.alice)
    await look_at_pages(world, stage.session, world.admin)
    await world.admin.call("GET", "/audit?limit=500", expect=200)
    following.cancel()
    await following
    reset = await forget_the_password(stage)
    await look_everywhere(world.alice)
    async with stage.session.get(f"{world.base}/metrics") as response:
        metrics = await response.text()
    deps = world.platform.deps
    waits = "select exists (select from outbox where delivered_at is null and gave_up_at is null)"
    async with asyncio.timeout(20):
        while await deps.pool.fetchval(waits):
            await asyncio.sleep(0.05)

    answers = stage.recorder.answers
    said = "\n".join(text for _, text in answers)
    sign_ins = {*re.findall(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", said), world.admin.token} - set(
        stage.secrets.values()
    )
    assert len(sign_ins) >= 3
    letters = mails(deps.settings.data_dir / "outbox")
    mailed = set(re.findall(r"/files/download/([\w-]+)/", "\n".join(letters)))
    confirm = re.search(r"/confirm-email/([\w-]+)", "\n".join(letters))
    assert mailed, "the mail of a completed job has a link"
    assert confirm is not None

    # Where each secret may be found: nowhere, aside from the one answer or e-mail that is made to give it.
    secrets: dict[str, tuple[str, str]] = {
        name: (value, "answers" if name.startswith("link") else "")
        for name, value in stage.secrets.items()
    }
    secrets |= {f"sign-in {n}": (value, "answers") for n, value in enumerate(sorted(sign_ins))}
    secrets |= {f"mailed link {n}": (value, "letters") for n, value in enumerate(sorted(mailed))}
    keys = deps.settings
    for name, value, where in (
        ("opaque token", OPAQUE, ""), ("rejected token", REJECTED, ""), ("shared token", SHARED, ""),
        ("password", PASSWORD, ""), ("wrong password", WRONG_PASSWORD, ""), ("new password", NEW_PASSWORD, ""),
        ("mistaken input", MISTAKEN, ""), ("token of metrics", METRICS_TOKEN, ""),
        ("key of sign-ins", keys.jwt_secret, ""), ("key of links", keys.link_secret, ""),
        ("key of credentials", keys.credential_keys.partition(":")[2].split(",")[0], ""),
        ("reset token", reset, "letters"), ("confirmation token", confirm[1], "letters"),
    ):  # fmt: skip
        assert value, name
        secrets[name] = (value, where)
    assert len([name for name in secrets if "archive password" in name or "echoed" in name]) >= 6

    places = {
        "logs": logs.getvalue(),
        "answers": said,
        "metrics": metrics,
        "letters": "\n".join(letters),
        "queue": await queue(redis_url),
        **await tables(deps.pool),
        **files(keys.data_dir),
    }
    assert '"event": "request.done"' in places["logs"] or '"request.done"' in places["logs"]
    found = [
        (name, place, text[max(0, at - 150) : at + 150])
        for name, (value, allowed) in secrets.items()
        for spelling in spellings(value)
        for place, text in places.items()
        if place != allowed and (at := text.find(spelling)) >= 0
    ]
    assert found == [], found
    sign_in_paths = {path for path, text in answers if any(token in text for token in sign_ins)}
    assert sign_in_paths <= {"/api/auth/login", f"/api/auth/password-reset/{reset}"}


async def test_search_when_a_secret_is_there_then_it_is_found() -> None:
    """The search itself can fail."""
    assert "UExBTlRFRA" in spellings("PLANTED")
    assert "a%20b" in spellings("a b")
    assert "UmVqZWN0ZWRQTEFOVEVE" in spellings(REJECTED)
