"""What every request goes through."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web

from app.keys import DEPS
from app.routes.table import add_routes
from app.usecases.deps import Deps
from app.web.middleware import middlewares
from tests.support.api import Api
from tests.support.app import listen, serve_rows
from tests.support.deps import Clock
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


# Who asks

Forge = Callable[[Deps, Person], str]


def _signed(key: str = "", algorithm: str = "HS256", **claims: object) -> Forge:
    def make(deps: Deps, person: Person) -> str:
        good = jwt.decode(person.token, options={"verify_signature": False})
        secret = key or deps.settings.jwt_secret
        kept = {name: value for name, value in {**good, **claims}.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
            return jwt.encode(kept, secret, algorithm=algorithm)

    return make


def _without_signature(_deps: Deps, person: Person) -> str:
    claims = jwt.decode(person.token, options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


FORGED: dict[str, tuple[Forge, str]] = {
    "garbage": (lambda _d, _p: "garbage", "invalid_token"),
    "empty": (lambda _d, _p: "", "invalid_token"),
    "algorithm none": (_without_signature, "invalid_token"),
    "cut signature": (lambda _d, p: p.token.rpartition(".")[0] + ".", "invalid_token"),
    "other key": (_signed("k" * 32), "invalid_token"),
    "other algorithm": (_signed(algorithm="HS384"), "invalid_token"),
    "expired": (_signed(exp=1_700_000_000), "token_expired"),
    "never expires": (_signed(exp=None), "invalid_token"),
    "no version": (_signed(ver=None), "invalid_token"),
    "version as text": (_signed(ver="0"), "invalid_token"),
    "user as truth": (_signed(user_id=True), "invalid_token"),
    "older version": (_signed(ver=-1), "token_revoked"),
    "later version": (_signed(ver=1), "token_revoked"),
    "nobody": (_signed(user_id=2**40), "token_revoked"),
    "user beyond 64 bits": (_signed(user_id=2**80), "invalid_token"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_token_when_not_good_then_401(
    site: Api, deps: Deps, alice: Person, name: str
) -> None:
    forge, code = FORGED[name]
    headers = {"Authorization": f"Bearer {forge(deps, alice)}"}

    answer = await site.get("/mine", headers=headers)

    problem(answer, 401, code)
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_token_when_good_then_signed_in(site: Api, alice: Person, scheme: str) -> None:
    answer = await site.get("/mine", headers={"Authorization": f"{scheme} {alice.token}"})

    assert answer.json()["username"] == "alice"


@pytest.mark.parametrize(
    "path", ["/mine", "/mine?access_token={}", "/mine?token={}", "/mine?Authorization=Bearer%20{}"]
)
async def test_token_when_in_the_query_then_nobody_is_signed_in(
    site: Api, alice: Person, path: str
) -> None:
    answer = await site.get(path.format(alice.token))

    problem(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Basic YWxpY2U6eA==", "Token {}", "{}", "Bearer"])
async def test_token_when_not_sent_as_bearer_then_401(
    site: Api, alice: Person, header: str
) -> None:
    answer = await site.get("/mine", headers={"Authorization": header.format(alice.token)})

    assert answer.status == 401


async def test_account_when_disabled_then_its_token_ends_at_once(
    site: Api, deps: Deps, alice: Person
) -> None:
    await deps.pool.execute("update users set is_active = false where id = $1", alice.id)

    problem(await site.get("/mine", as_=alice), 401, "token_revoked")


async def test_public_when_the_token_is_bad_then_it_is_answered_all_the_same(site: Api) -> None:
    answer = await site.get("/open", headers={"Authorization": "Bearer bad"})

    assert answer.json()["username"] is None


async def test_admin_when_somebody_else_asks_then_403(
    site: Api, alice: Person, admin: Person
) -> None:
    problem(await site.get("/admin-only", as_=alice), 403, "forbidden")
    problem(await site.get("/admin-only"), 401, "not_authenticated")
    assert (await site.get("/admin-only", as_=admin)).status == 200


async def test_route_when_it_has_no_row_then_it_is_closed(deps: Deps, alice: Person) -> None:
    async def hole(_request: web.Request) -> web.Response:
        return web.Response(text="secret")

    app = web.Application(middlewares=middlewares(deps))
    app[DEPS] = deps
    add_routes(app, ROWS)
    app.router.add_get("/hole", hole)
    async with listen(app) as base, aiohttp.ClientSession() as session:
        api = Api(session, base)
        problem(await api.get("/hole"), 401, "not_authenticated")
        assert (await api.get("/hole", as_=alice)).text == "secret"


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


Step = Callable[[Api], Awaitable[None]]


async def test_token_when_its_day_is_over_then_it_ends(
    site: Api, deps: Deps, alice: Person, clock: Clock
) -> None:
    clock.move(days=-2)
    old = deps.tokens.issue(alice.id, "alice", 0, deps.now())

    answer = await site.get("/mine", headers={"Authorization": f"Bearer {old}"})

    problem(answer, 401, "token_expired")
