"""One shape of errors, whoever refuses: a handler, the reader of bodies, aiohttp itself, or a crash."""

import asyncio
import gzip
import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from app.usecases.deps import Deps
from tests.support.api import Answer, Api
from tests.support.app import serve_rows
from tests.support.people import Person
from tests.web.conftest import ROWS, SECRET


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Check the shape; give the body."""
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == body["error"] == code
    assert body["detail"] == body["message"] != ""
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert isinstance(body["errors"], list)
    return body


async def test_refusal_when_handler_raises_then_it_has_the_one_shape(site: Api) -> None:
    body = problem(await site.get("/refuse"), 404, "not_found")

    assert body["action"] == "Look elsewhere."
    assert body["thing_id"] == 7


async def test_refusal_when_its_class_has_no_status_then_it_is_a_500(site: Api) -> None:
    problem(await site.get("/unknown-refusal"), 500, "error")


@pytest.mark.parametrize("path", ["/nowhere", "/numbers/x", "/numbers//", "/%00", "/..%2f..%2fetc"])
async def test_address_when_unknown_then_404(site: Api, path: str) -> None:
    problem(await site.get(path), 404, "not_found")


async def test_method_when_not_taken_then_405_tells_which_are(site: Api) -> None:
    answer = await site.delete("/numbers")

    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "TRACE", "PROPFIND"])
async def test_method_when_nothing_takes_it_then_405(site: Api, method: str) -> None:
    problem(await site.request(method, "/numbers"), 405, "method_not_allowed")


async def test_crash_when_nobody_foresaw_it_then_nothing_of_it_is_told(
    site: Api, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await site.get("/crash")

    body = problem(answer, 500, "internal_error")
    assert SECRET not in answer.text
    assert "RuntimeError" not in answer.text
    assert body["request_id"] in body["action"]
    logged = caplog.text + capsys.readouterr().out
    assert "request.crashed" in logged
    assert body["request_id"] in logged


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'{"name": "\xff"}', "invalid_json"),
        (b'{"name": "a\\u0000b"}', "invalid_json"),
        (b'{"name": "a", "tags": ["\\u0000"]}', "invalid_json"),
        (b'{"name": "a", "\\u0000": 1}', "invalid_json"),
        (b'{"name": "\\ud800"}', "invalid_json"),
        (b'{"name": "a", "number": 1e999}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"name": "\\u0000", "x": ' + b"[" * 900 + b"]" * 900 + b"}", "invalid_json"),
        (b"[]", "invalid_input"),
        (b"null", "invalid_input"),
        (b"{}", "invalid_input"),
        (b'{"name": 5}', "invalid_input"),
        (b'{"name": "a", "number": "5"}', "invalid_input"),
        (b'{"name": "a", "number": 9223372036854775808}', "invalid_json"),
        (b'{"name": "a", "number": -99999999999999999999999999}', "invalid_json"),
        (b'{"name": "a", "tags": [1]}', "invalid_input"),
    ],
)
async def test_body_when_it_cannot_be_read_then_400(site: Api, sent: bytes, code: str) -> None:
    answer = await site.post("/echo", data=sent, headers={"Content-Type": "application/json"})

    problem(answer, 400, code)


async def test_body_when_a_backslash_stands_before_u0000_then_it_is_text(site: Api) -> None:
    answer = await site.post("/echo", json={"name": "a\\u0000b"})

    assert answer.status == 200
    assert answer.json()["name"] == "a\\u0000b"


async def test_body_when_a_field_is_wrong_then_it_is_named_and_its_value_is_not(site: Api) -> None:
    answer = await site.post("/echo", json={"name": "a", "kind": SECRET})

    body = problem(answer, 400, "invalid_input")
    assert body["errors"][0]["field"] == "kind"
    assert SECRET not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_body_when_not_json_then_415(site: Api, kind: str) -> None:
    answer = await site.post("/echo", data=b'{"name": "a"}', headers={"Content-Type": kind})

    body = problem(answer, 415, "unsupported_media_type")
    assert "application/json" in body["action"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_when_too_large_then_413(site: Api, chunked: bool) -> None:
    async def pieces() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    data = pieces() if chunked else io.BytesIO(b" " * (40 * 65_536))
    answer = await site.post("/echo", data=data, headers={"Content-Type": "application/json"})

    problem(answer, 413, "too_large")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-gzip, identity", "?"])
async def test_body_when_compressed_then_415(site: Api, coding: str) -> None:
    body = gzip.compress(b'{"name": "a"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}

    problem(await site.post("/echo", data=body, headers=headers), 415, "unsupported_media_type")


async def test_body_when_said_to_be_as_it_is_then_taken(site: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}

    assert (await site.post("/echo", data=b'{"name": "a"}', headers=headers)).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "offset=-1",
        "offset=99999999999",
        f"kind={SECRET}",
        "word=%00",
    ],
)
async def test_query_when_wrong_then_400_names_the_parameter(site: Api, query: str) -> None:
    answer = await site.get(f"/numbers?{query}")

    body = problem(answer, 400, "invalid_input")
    assert body["errors"][0]["field"] == query.partition("=")[0]
    assert SECRET not in answer.text


async def test_query_when_empty_or_unknown_then_it_is_passed_over(site: Api) -> None:
    answer = await site.get("/numbers?kind=&limit=&color=red")

    assert answer.status == 200
    assert len(answer.json()) == 23


async def test_answer_when_it_breaks_midway_then_the_client_sees_that_it_is_not_whole(
    site: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(aiohttp.ClientError):
        await site.get("/half")

    assert "Error handling request" not in caplog.text


async def test_client_when_it_goes_away_then_nothing_is_logged_as_an_error(
    deps: Deps, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_rows(deps, ROWS) as (_app, base):
        host, port = base.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        logged = ""
        async with asyncio.timeout(5):
            while "request.done" not in logged and "request.crashed" not in logged:
                await asyncio.sleep(0.01)
                logged += capsys.readouterr().out

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "request.crashed" not in logged
    assert "status=499" in logged


@pytest.mark.parametrize("kind", ["no socket", "nobody listens", "cut"])
async def test_database_when_it_is_away_then_503_says_try_again(
    deps: Deps, alice: Person, kind: str, tmp_path: Path
) -> None:
    broken = deps
    if kind == "cut":
        await deps.pool.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    else:
        place = "127.0.0.1:1" if kind == "nobody listens" else f"/x?host={tmp_path}"
        pool = await asyncpg.create_pool(f"postgresql://{place}", min_size=0, ssl=False, user="x")
        broken = replace(deps, pool=pool)
    async with serve_rows(broken, ROWS) as (_, base), aiohttp.ClientSession() as session:
        answers = [await Api(session, base).get("/mine", as_=alice) for _ in range(8)]

    if kind == "cut":
        assert {answer.status for answer in answers} <= {200, 503}
        assert answers[-1].status == 200, "a cut connection is replaced"
    else:
        body = problem(answers[0], 503, "unavailable")
        assert "Try again" in body["action"]


async def test_limits_when_settings_say_so_then_they_hold(deps: Deps) -> None:
    few = replace(deps, settings=replace(deps.settings, rate_limit_per_minute=2))
    async with serve_rows(few, ROWS) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        statuses = [(await api.get("/open")).status for _ in range(3)]
        refused = await api.get("/open")
        probe = await api.get("/probe")

    assert statuses == [200, 200, 429]
    body = problem(refused, 429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 31
    assert "seconds" in body["action"]
    assert probe.status == 200
