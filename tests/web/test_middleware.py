"""What every request goes through, whoever asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.app import serve_rows
from tests.support.people import Person
from tests.web.conftest import ROWS
from tests.web.test_problems import problem


@asynccontextmanager
async def site_with(deps: Deps, **settings: Any) -> AsyncIterator[Api]:
    """Give the test rows under other settings."""
    changed = replace(deps, settings=replace(deps.settings, **settings))
    async with serve_rows(changed, ROWS) as (_, base), aiohttp.ClientSession() as session:
        yield Api(session, base)


# Request ids and headers


async def test_request_id_when_client_gives_a_sane_one_then_it_is_kept(site: Api) -> None:
    answer = await site.get("/open", headers={"X-Request-ID": "run-2026.11_a"})

    assert answer.headers["X-Request-ID"] == "run-2026.11_a"


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "a b c d e f g", "<script>alert", "ä" * 9]
)
async def test_request_id_when_odd_then_a_new_one_is_made(site: Api, given: str) -> None:
    answer = await site.get("/open", headers={"X-Request-ID": given})

    assert len(answer.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/open", "/nowhere", "/crash", "/mine", "/api/open"])
async def test_headers_when_anything_is_answered_then_browsers_are_kept_strict(
    site: Api, path: str
) -> None:
    headers = (await site.get(path)).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "aiohttp" not in headers["Server"]


async def test_head_when_get_is_there_then_same_headers_and_no_body(site: Api) -> None:
    got, headed = await site.get("/numbers?limit=5"), await site.head("/numbers?limit=5")

    assert headed.status == 200
    assert headed.body == b""
    assert headed.headers["X-Total-Count"] == got.headers["X-Total-Count"] == "23"
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


async def test_page_when_in_the_middle_then_links_lead_everywhere(site: Api) -> None:
    answer = await site.get("/api/numbers?limit=5&offset=10&kind=big")

    assert answer.json() == [10, 11, 12, 13, 14]
    links = answer.headers["Link"]
    for relation, offset in {"first": 0, "prev": 5, "next": 15, "last": 20}.items():
        assert f'</api/numbers?limit=5&offset={offset}&kind=big>; rel="{relation}"' in links


async def test_page_when_it_is_the_only_one_then_there_is_no_next(site: Api) -> None:
    links = (await site.get("/numbers")).headers["Link"]

    assert "next" not in links
    assert "prev" not in links


# Pages of other sites

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.test"},
    {"Referer": "https://evil.test/page"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_post_when_another_site_sends_it_then_403(site: Api, headers: dict[str, str]) -> None:
    answer = await site.post("/echo", json={"name": "a"}, headers=headers)

    problem(answer, 403, "cross_site_request")


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://platform.test"}])
async def test_post_when_no_other_site_is_behind_it_then_it_is_taken(
    site: Api, headers: dict[str, str]
) -> None:
    assert (await site.post("/echo", json={"name": "a"}, headers=headers)).status == 200


@pytest.mark.parametrize("headers", FOREIGN)
async def test_post_when_it_carries_a_token_then_its_origin_is_no_matter(
    site: Api, alice: Person, headers: dict[str, str]
) -> None:
    assert (await site.post("/mine", as_=alice, headers=headers)).status == 200


async def test_get_when_another_site_links_here_then_it_is_answered(site: Api) -> None:
    assert (await site.get("/open", headers=FOREIGN[0])).status == 200


async def test_preflight_when_origin_is_allowed_then_it_may_send_tokens(deps: Deps) -> None:
    async with site_with(deps, cors_origins=("https://app.test",)) as api:
        asked = {"Access-Control-Request-Method": "PATCH", "Origin": "https://app.test"}
        answer = await api.request("OPTIONS", "/mine", headers=asked)
        refused = await api.request(
            "OPTIONS", "/mine", headers={**asked, "Origin": "https://evil.test"}
        )
        listed = await api.get("/numbers", headers={"Origin": "https://app.test"})
        missing = await api.get("/nowhere", headers={"Origin": "https://app.test"})

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.test"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert refused.status == 405
    assert "Access-Control-Allow-Origin" not in refused.headers
    for given in (listed, missing):
        assert given.headers["Access-Control-Allow-Origin"] == "https://app.test"
        assert "X-Total-Count" in given.headers["Access-Control-Expose-Headers"]
        assert given.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in given.headers


async def test_other_origins_when_none_is_set_then_nothing_is_allowed(site: Api) -> None:
    answer = await site.get("/numbers", headers={"Origin": "https://app.test"})

    assert not [name for name in answer.headers if name.startswith("Access-Control")]


# How often


async def test_rate_when_two_people_share_an_address_then_each_has_their_own(
    deps: Deps, alice: Person, bob: Person
) -> None:
    async with site_with(deps, rate_limit_per_minute=2) as api:
        spent = [(await api.get("/open", as_=alice)).status for _ in range(3)]
        others = [(await api.get("/open", as_=bob)).status, (await api.get("/open")).status]

    assert spent == [200, 200, 429]
    assert others == [200, 200]


async def test_rate_when_tokens_are_made_up_then_the_address_pays(deps: Deps) -> None:
    async with site_with(deps, rate_limit_per_minute=2) as api:
        statuses = [
            (await api.get("/mine", headers={"Authorization": f"Bearer x{number}"})).status
            for number in range(3)
        ]

    assert statuses == [401, 401, 429]


async def test_rate_when_a_client_makes_up_addresses_then_it_gains_nothing(deps: Deps) -> None:
    async with site_with(deps, rate_limit_per_minute=2) as api:
        statuses = [
            (await api.get("/open", headers={"X-Forwarded-For": f"198.51.100.{number}"})).status
            for number in range(3)
        ]

    assert statuses == [200, 200, 429]


async def test_rate_when_a_trusted_proxy_tells_addresses_then_each_has_its_own(deps: Deps) -> None:
    proxies = (ip_network("127.0.0.0/8"),)
    async with site_with(deps, rate_limit_per_minute=2, trusted_proxies=proxies) as api:
        answers = [
            await api.get("/open", headers={"X-Forwarded-For": f"198.51.100.{number}"})
            for number in range(3)
        ]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[2].json()["address"] == "198.51.100.2"


async def test_rate_when_a_row_has_its_own_limit_then_it_holds_for_that_row(site: Api) -> None:
    statuses = [(await site.get("/rare")).status for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert (await site.get("/open")).status == 200


# Refusals that come before the body


async def _exchange(base: str, head: str) -> bytes:
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("\n", "\r\n").encode())
    await writer.drain()
    async with asyncio.timeout(5):
        got = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return got


async def test_expect_when_refused_then_the_body_is_not_asked_for(site: Api) -> None:
    head = (
        "POST /mine HTTP/1.1\nHost: x\nExpect: 100-continue\n"
        "Content-Type: application/json\nContent-Length: 1000000\n\n"
    )

    assert (await _exchange(site.base, head)).startswith(b"HTTP/1.1 401 ")


async def test_expect_when_welcome_then_the_body_is_asked_for(site: Api) -> None:
    head = (
        "POST /echo HTTP/1.1\nHost: x\nExpect: 100-continue\n"
        "Content-Type: application/json\nContent-Length: 12\n\n"
    )

    assert await _exchange(site.base, head) == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_refusal_when_curl_is_still_sending_then_it_reads_the_answer(
    site: Api, tmp_path: Any
) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(b"\0" * 30_000_000)
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-m", "20", "-H", "Expect:", "-F", f"file=@{big}", f"{site.base}/mine"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    assert b'"code":"not_authenticated"' in out


async def test_refusal_when_a_client_only_reads_after_sending_then_it_gets_the_answer(
    site: Api,
) -> None:
    host, port = site.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    size = 20_000_000
    writer.write(f"POST /mine HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        for _ in range(size // 100_000):
            writer.write(b"\0" * 100_000)
            await writer.drain()
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert line.startswith(b"HTTP/1.1 401 ")
