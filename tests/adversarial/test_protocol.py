"""HTTP itself, bent: framing that two servers would read differently, methods, addresses, headers."""

import asyncio
import re
from collections.abc import Iterable
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from app.routes.table import ENDPOINTS, methods_of, paths_of
from app.usecases.deps import Deps
from app.web import reading, server
from app.web.endpoint import Access, Endpoint
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import FORM, chunk, connect, field, head, statuses
from tests.guards.test_routes import example
from tests.support.api import Api
from tests.support.jobs import Desk
from tests.support.people import Person

JSON = "Content-Type: application/json\r\n"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def post(*lines: str, body: str = "") -> bytes:
    start = ["POST /api/auth/login HTTP/1.1", "Host: x", "Content-Type: application/json", *lines]
    return ("\r\n".join(start) + "\r\n\r\n" + body).encode("latin-1")


FRAMINGS = {
    "length and chunks": post(
        "Content-Length: 6", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED
    ),
    "chunks and length": post(
        "Transfer-Encoding: chunked", "Content-Length: 6", body="0\r\n\r\n" + SMUGGLED
    ),
    "two lengths": post("Content-Length: 2", "Content-Length: 40", body="{}" + SMUGGLED),
    "two equal lengths": post("Content-Length: 2", "Content-Length: 2", body="{}" + SMUGGLED),
    "lengths in a list": post("Content-Length: 2, 40", body="{}" + SMUGGLED),
    "negative length": post("Content-Length: -1", body="{}" + SMUGGLED),
    "length with a sign": post("Content-Length: +2", body="{}" + SMUGGLED),
    "length in hexadecimal": post("Content-Length: 0x2", body="{}" + SMUGGLED),
    "length with an underscore": post("Content-Length: 0_2", body="{}" + SMUGGLED),
    "length beyond 64 bits": post("Content-Length: 18446744073709551618", body="{}" + SMUGGLED),
    "length in other digits": post("Content-Length: \xb2", body="{}" + SMUGGLED),
    "chunked in another case, twice": post(
        "Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", body="0\r\n\r\n" + SMUGGLED
    ),
    "chunked, then identity": post(
        "Transfer-Encoding: chunked, identity", body="0\r\n\r\n" + SMUGGLED
    ),
    "nearly chunked": post("Transfer-Encoding: xchunked", body="0\r\n\r\n" + SMUGGLED),
    "chunked behind a tab": post("Transfer-Encoding:\tchunked\x0b", body="0\r\n\r\n" + SMUGGLED),
    "name with a blank": post("Transfer-Encoding : chunked", body="0\r\n\r\n" + SMUGGLED),
    "folded line": post("X-A: a", " Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED),
    "size that is none": post("Transfer-Encoding: chunked", body="ZZ\r\n{}\r\n0\r\n\r\n"),
    "size beyond 64 bits": post(
        "Transfer-Encoding: chunked", body="fffffffffffffffff2\r\n{}\r\n0\r\n\r\n"
    ),
    "size with a sign": post("Transfer-Encoding: chunked", body="+2\r\n{}\r\n0\r\n\r\n" + SMUGGLED),
    "bare line feeds": b"POST /api/auth/login HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
    "bare line feed in a header": b"GET /health/live HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "carriage return in a header": b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "NUL in a header": b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "header of 10 kB": head("GET", "/health/live", X="a" * 10_000),
    "a thousand headers": b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
    + b"X: y\r\n" * 1000
    + b"\r\n",
    "address of 10 kB": head("GET", "/" + "a" * 10_000),
    "address beyond ASCII": "GET /jobs/ä HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "address with a broken host": b"GET http://[::1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    "address with a broken port": b"GET http://a:b:c/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
    "address that is a star": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "method nobody knows": head("FOO", "/jobs"),
    "method in small letters": head("get", "/jobs"),
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET /health/live HTTP/3.7\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100 + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "noise": bytes(range(256)) * 40,
}


async def swallow(base: str, raw: bytes) -> bytes:
    """Send bytes; give all that comes back until the server closes."""
    async with connect(base) as wire:
        await wire.send(raw)
        return await wire.rest()


async def test_request_when_its_framing_is_doubtful_then_refused_once_and_closed(
    base: str,
) -> None:
    for name, raw in FRAMINGS.items():
        async with connect(base) as wire:
            await wire.send(raw)
            answer = await wire.answer()
            rest = await wire.rest()
        refused(answer, 400, "malformed_request", about=name)
        assert rest == b"", f"{name}: what followed was read as a request: {rest!r}"
        assert b"smuggled" not in answer.body


async def test_request_when_a_header_is_broken_then_its_content_is_nowhere(
    base: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = head("GET", "/users/me")[:-2] + b"Authorization: Bearer tok-PLANTED-42\x00\r\n\r\n"
    got = await swallow(base, raw)
    assert statuses(got.replace(b"HTTP/1.0", b"HTTP/1.1")) == [400]
    out, err = capfd.readouterr()
    for place in (got.decode(), caplog.text, out, err):
        assert "PLANTED" not in place
    assert "request.malformed" in out + err + caplog.text


async def test_requests_when_pipelined_then_each_is_answered_in_turn(
    base: str, alice: Person
) -> None:
    async with connect(base) as wire:
        await wire.send(
            head("GET", "/users/me", alice.token) + head("GET", "/nowhere") + head("GET", "/jobs")
        )
        assert [(await wire.answer()).status for _ in range(3)] == [200, 404, 401]


async def test_body_when_its_chunks_break_on_the_way_then_is_refused_and_closed(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aiohttp does not tell the handler, which therefore waits as long as for a body that never comes.
    monkeypatch.setattr(reading, "JSON_TIMEOUT_S", 0.2)
    async with connect(base) as wire:
        await wire.send(
            head(
                "POST",
                "/api/auth/login",
                Content_Type="application/json",
                Transfer_Encoding="chunked",
            )
        )
        await asyncio.sleep(0.02)
        await wire.send(chunk(b'{"username": ') + b"ZZ\r\n" + SMUGGLED.encode())
        refused(await wire.answer(), 400, "broken_upload")
        assert statuses(await wire.rest_or(0.5)) in ([], [400])


async def test_refusal_when_the_body_still_comes_then_it_is_never_read_as_a_request(
    base: str, alice: Person, desk: Desk
) -> None:
    inner = SMUGGLED.encode() * 50
    body = field("nonsense", "x") + field("nonsense", "x") + inner
    async with connect(base) as wire:
        await wire.send(
            head("POST", "/jobs", alice.token, Content_Type=FORM, Content_Length=len(body))
        )
        await wire.send(body[:200])
        refused(await wire.answer(), 400, "unknown_field")
        await wire.send(body[200:] + head("GET", "/health/live"))
        rest = await wire.rest_or(0.5)
    assert statuses(rest) in ([200], [])


async def test_upgrade_when_asked_for_then_it_is_declined(base: str, alice: Person) -> None:
    for kind in ("websocket", "h2c", "TLS/1.0"):
        async with connect(base) as wire:
            for path, status in (("/users/me", 200), ("/nowhere", 404)):
                await wire.send(head("GET", path, alice.token, Connection="Upgrade", Upgrade=kind))
                assert (await wire.answer()).status == status


# Methods

PATHS = sorted({item.path for item in ENDPOINTS})


def taken(path: str) -> set[str]:
    return {method for item in ENDPOINTS if path in paths_of(item) for method in methods_of(item)}


async def test_methods_when_a_route_does_not_take_one_then_405_names_those_it_takes(
    client: Api, deps: Deps, admin: Person
) -> None:
    async with leaves_nothing(deps):
        for path in PATHS:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
                if method in taken(path):
                    continue
                answer = await client.request(method, example(path), as_=admin)
                assert answer.status == 405, (method, path, answer.status)
                assert set(answer.headers["Allow"].split(",")) == taken(path), path
                if method != "HEAD":
                    refused(answer, 405, "method_not_allowed", about=path)
                else:
                    assert answer.body == b""


async def test_head_when_there_is_a_get_then_it_has_the_same_status_and_no_body(
    client: Api, admin: Person, desk: Desk
) -> None:
    for item in _shown(ENDPOINTS):
        path = example(item.path)
        got = await client.get(path, as_=admin)
        headed = await client.head(path, as_=admin)
        assert headed.body == b"", path
        if item.path.startswith("/health"):  # as healthy as the machine is
            continue
        assert headed.status == got.status, path
        assert headed.headers["Content-Type"] == got.headers["Content-Type"], path


def _shown(items: Iterable[Endpoint]) -> list[Endpoint]:
    return [item for item in items if item.method == "GET" and "HEAD" in methods_of(item)]


async def test_preflight_when_no_other_origin_is_allowed_then_nothing_is_told(
    client: Api,
) -> None:
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    for path in PATHS:
        answer = await client.request("OPTIONS", example(path), headers=headers)
        refused(answer, 405, "method_not_allowed", about=path)
        assert not [name for name in answer.headers if name.startswith("Access-Control")], path


# Addresses

ODD_PATHS = [
    "/jobs/../users/me", "/files/download/../../users/me", "/%2e%2e/%2e%2e/etc/passwd", "//evil.test/jobs", "/api//jobs", "/jobs//",
    "/API/jobs", "/api/api/jobs", "/jobs%00", "/jobs;x=1", "/jobs%2f..%2fusers%2fme", "/docs/../../setup.cfg", "/docs/%2e%2e%2fsetup.cfg",
    "/files/download/%2e%2e%2f%2e%2e%2fetc%2fpasswd/x", "/static/../setup.cfg", "/.git/config", "/files/1/download/../../../etc/passwd",
    "/services/1/reference-panels/1/../../..", "/jobs/%7B00000000-0000-0000-0000-000000000000%7D", "/jobs/0%0d%0aX-Evil:1",
    "/users/me/service-credentials/1%20or%201=1", "/files/%D9%A1", "/files/-1", "/files/1.0", "/files/0x1", "/files/1e0", "/files/+1",
    "/services/٣", "/jobs/00000000000000000000000000000000",
]  # fmt: skip


async def test_address_when_it_leads_nowhere_then_404_and_no_file_is_shown(
    base: str, admin: Person
) -> None:
    for path in ODD_PATHS:
        async with connect(base) as wire:
            await wire.send(head("GET", quote(path, safe="%/;:{}=+"), admin.token))
            answer = await wire.answer()
        assert answer.status == 404, path
        refused(answer, 404, answer.code, about=path)
        assert b"root:" not in answer.body
        assert "X-Evil" not in answer.headers


NUMBERED = [
    item
    for item in ENDPOINTS
    if re.search(r"\{\w+:\[0-9\]", item.path) and item.access is not Access.PUBLIC
]


NUMBERS = ("0", "0" * 18, "9" * 18, "9" * 19, str(2**63 - 1), str(2**63), "9" * 4000)


async def test_number_when_it_names_nothing_then_404_on_every_route(
    client: Api, deps: Deps, admin: Person
) -> None:
    assert NUMBERED
    async with leaves_nothing(deps):
        for number, item in product(NUMBERS, NUMBERED):
            path = re.sub(r"\{\w+:\[0-9\][^}]*\}\}", number, item.path)
            path = re.sub(r"\{\w+:[^{}]*(\{[^{}]*\})?[^{}]*\}", number, path)
            options: dict[str, Any] = {"json": {}} if item.body is not None else {}
            if item.name == "panels.add":
                options = {"json": {"key": "k", "name": "n"}}
            answer = await client.request(item.method, path, as_=admin, **options)
            assert answer.status == 404, (item.name, answer.status, answer.body[:300])


# Patience


async def test_connection_when_it_never_asks_for_anything_then_is_closed(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GREETING_TIMEOUT_S", 0.2)
    for start in (b"", b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        assert await swallow(base, start) == b""
    async with connect(base) as wire:
        await wire.send(head("GET", "/health/live"))
        assert (await wire.answer()).status == 200
        await asyncio.sleep(0.3)
        await wire.send(head("GET", "/health/live"))
        assert (await wire.answer()).status == 200, "one that has asked may stay"


async def test_body_when_it_never_comes_then_is_given_up(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "JSON_TIMEOUT_S", 0.2)
    async with connect(base) as wire:
        await wire.send(
            head("POST", "/api/auth/login", Content_Type="application/json", Content_Length=100)
            + b"{"
        )
        refused(await wire.answer(), 400, "broken_upload")


async def test_expectation_when_it_is_another_then_417(base: str, alice: Person) -> None:
    async with connect(base) as wire:
        await wire.send(
            head(
                "POST", "/notifications/read-all", alice.token, Expect="miracles", Content_Length=0
            )
        )
        refused(await wire.answer(), 417, "expectation_failed")
