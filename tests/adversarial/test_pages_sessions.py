"""Sign-ins of browsers under attack: when they end, everything ends; nobody is led elsewhere; guessing is slowed down as at the API."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from app.core.errors import RateLimited
from app.routes.pages.table import PAGES
from app.routes.table import ENDPOINTS
from app.security.passwords import Passwords
from app.usecases.deps import Deps
from app.web.pages import safe_next
from tests.guards.test_pages import cookie
from tests.support.api import Answer, Api
from tests.support.app import serve
from tests.support.people import PASSWORD, Person

NEW = "another horse 8"


async def sign_in(
    client: Api, username: str = "alice", password: str = PASSWORD, **headers: str
) -> Answer:
    data = {"username": username, "password": password}
    return await client.post("/ui/sign-in", data=data, headers=headers)


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


# How they end


async def by_signing_out(
    client: Api, alice: dict[str, str], _admin: dict[str, str], _id: int
) -> Answer:
    return await client.post("/ui/sign-out", headers=alice)


async def by_a_new_password(
    client: Api, alice: dict[str, str], _admin: dict[str, str], _id: int
) -> Answer:
    data = {"current_password": PASSWORD, "new_password": NEW}
    return await client.post("/ui/settings/password", headers=alice, data=data)


def by_an_administrator(what: str) -> Callable[..., Any]:
    async def act(
        client: Api, _alice: dict[str, str], admin: dict[str, str], user_id: int
    ) -> Answer:
        return await client.post(f"/ui/admin/users/{user_id}/{what}", headers=admin)

    return act


ENDS: dict[str, Callable[..., Any]] = {
    "signed out": by_signing_out,
    "password changed": by_a_new_password,
    "disabled": by_an_administrator("disable"),
    "made an administrator": by_an_administrator("make-admin"),
}


@pytest.mark.parametrize("how", ENDS)
async def test_cookie_when_its_sign_in_ended_then_it_opens_nothing_and_streams_end(
    client: Api, app_server: tuple[Any, str], alice: Person, admin: Person, how: str
) -> None:
    from app.keys import EVENTS  # noqa: PLC0415

    app_server[0][EVENTS].recheck_s = app_server[0][EVENTS].heartbeat_s = 0.1
    first, second = cookie_of(await sign_in(client)), cookie_of(await sign_in(client))
    async with client.session.get(client.base + "/events", headers=second) as stream:
        assert stream.status == 200
        done = await ENDS[how](client, first, cookie(admin), alice.id)
        assert done.status == 303, done.text
        async with asyncio.timeout(10):
            async for _ in stream.content:
                pass
    for old in (first, second):
        page = await client.get("/ui/jobs", headers=old)
        assert (page.status, page.headers["Location"]) == (
            303,
            "/ui/sign-in?next=%2Fui%2Fjobs&ended=1",
        )
        bell = await client.get("/ui/bell", headers={**old, "HX-Request": "true"})
        assert bell.status == 401
        assert "<html" not in bell.text
        assert (await client.get("/events", headers=old)).status == 401
        assert (await client.get("/api/auth/me", headers=old)).status == 401
        posted = await client.post("/ui/notifications/read-all", headers=old)
        assert posted.status == 303
        assert posted.headers["Location"].startswith("/ui/sign-in")


async def test_sign_in_when_a_cookie_was_planted_before_then_the_new_one_is_another(
    client: Api, alice: Person, bob: Person
) -> None:
    for planted in ("planted-by-a-neighbour", bob.token):
        answer = await sign_in(client, Cookie=f"fip_session={planted}")
        assert answer.status == 303
        assert planted not in answer.headers["Set-Cookie"]
        me = await client.get("/api/auth/me", headers=cookie_of(answer))
        assert me.json()["username"] == "alice"


async def test_cookie_when_behind_tls_then_it_is_secure_and_of_this_host_alone(
    deps: Deps, alice: Person
) -> None:
    changed = replace(deps, settings=replace(deps.settings, public_url="https://platform.test"))
    async with (
        serve(changed) as (_, base),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        client = Api(session, base)
        answer = await sign_in(client)
        given = answer.headers["Set-Cookie"]
        for word in ("__Host-fip_session=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert word in given
        assert "Domain" not in given
        plain = {"Cookie": cookie_of(answer)["Cookie"].removeprefix("__Host-")}
        assert (await client.get("/ui/jobs", headers=plain)).status == 303, (
            "a neighbour could set that name"
        )
        out = await client.post("/ui/sign-out", headers=cookie_of(answer))
        assert "__Host-fip_session=" in out.headers["Set-Cookie"]
        assert "Secure" in out.headers["Set-Cookie"]


# Where they lead


ELSEWHERE = (
    "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/ui/\\..\\evil", "https://evil.test/ui/", "https:/evil.test", "javascript:alert(1)",
    "/ui/\t//evil.test", "/ui/\r\nSet-Cookie: a=b", "\t//evil.test", " //evil.test", "/%2f%2fevil.test", "/%09/evil.test", "ui/", "/ui", "/uix/",
    "/ui//evil.test\n", "data:text/html,x", "http:///ui/", "//evil.test/ui/", "/ui/\u2028x", "/ui/\0", "?x", "#x", "", "/api/users", "/ui/\ud800",
)  # fmt: skip


def test_next_when_it_is_no_page_of_ours_then_the_start() -> None:
    for path in ELSEWHERE:
        assert safe_next(path) == "/ui/", path


@pytest.mark.parametrize("path", ["/ui/../../evil.test", "/ui/..//evil.test", "/ui/%2e%2e//evil.test", "/ui/.//evil.test", "/ui/[", "/ui/jobs?q=//x"])  # fmt: skip
async def test_next_when_it_climbs_then_a_browser_stays_with_us(
    client: Api, alice: Person, path: str
) -> None:
    from yarl import URL  # noqa: PLC0415

    data = {"username": "alice", "password": PASSWORD, "next": path}
    answer = await client.post("/ui/sign-in", data=data)
    assert answer.status == 303
    goal = answer.headers["Location"]
    assert goal.startswith("/ui/")
    assert URL("http://platform.test/ui/sign-in").join(URL(goal)).host == "platform.test"


# Guessing


LIKE_THE_API = {
    "POST /ui/register": "POST /api/auth/register",
    "POST /ui/password-reset": "POST /api/auth/password-reset",
    "POST /ui/password-reset/{token}": "POST /api/auth/password-reset/{token}",
    "POST /ui/setup/{token}": "POST /api/auth/setup/{token}",
    "POST /ui/sign-in": "POST /api/auth/login",
}


def test_limits_when_written_then_pages_allow_no_more_than_the_api() -> None:
    of = {item.route: item.per_minute for item in (*PAGES, *ENDPOINTS)}
    for page, route in LIKE_THE_API.items():
        assert of[page] == of[route], page


async def test_sign_in_when_guessed_then_slowed_down_with_the_api_together(
    deps: Deps, alice: Person
) -> None:
    changed = replace(deps, passwords=Passwords(4, 5))
    async with (
        serve(changed) as (_, base),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        client = Api(session, base)
        for number in range(5):
            if number % 2:
                guess = {"username": "alice", "password": f"wrong {number}"}
                await client.post("/api/auth/login", json=guess)
            else:
                assert (await sign_in(client, password=f"wrong {number}")).status == 401
        late = await sign_in(client)
        assert late.status == 429, "even with the right one"
        assert "Set-Cookie" not in late.headers
        assert PASSWORD not in late.text
        error = RateLimited.default_code
        assert error not in late.text, "words and not codes"


async def test_reset_when_asked_often_then_a_page_says_to_wait(client: Api, alice: Person) -> None:
    answers = [
        await client.post("/ui/password-reset", data={"username": "alice"}) for _ in range(7)
    ]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert "text/html" in answers[-1].headers["Content-Type"]
    assert int(answers[-1].headers["Retry-After"]) > 0


# Keeping


async def test_pages_when_personal_then_no_cache_keeps_them(client: Api, alice: Person) -> None:
    for path in (
        "/ui/",
        "/ui/jobs",
        "/ui/settings/profile",
        "/ui/bell",
        "/ui/settings/audit",
        "/ui/files",
        "/ui/no-such-page",
    ):
        answer = await client.get(path, headers=cookie(alice))
        assert answer.headers["Cache-Control"] == "no-store", path
    static = next(item for item in PAGES if item.path.startswith("/static/"))
    assert static.access == "public"
