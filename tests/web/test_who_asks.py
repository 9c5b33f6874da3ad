"""Who asks: which tokens sign in, where they count, and what is closed to whom."""

import warnings
from collections.abc import Callable

import aiohttp
import jwt
import pytest
from aiohttp import web

from app.keys import DEPS
from app.routes.table import add_routes
from app.usecases.deps import Deps
from app.web.middleware import middlewares
from tests.support.api import Api
from tests.support.app import listen
from tests.support.deps import Clock
from tests.support.people import Person
from tests.web.conftest import ROWS
from tests.web.test_problems import problem

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


async def test_token_when_its_day_is_over_then_it_ends(
    site: Api, deps: Deps, alice: Person, clock: Clock
) -> None:
    clock.move(days=-2)
    old = deps.tokens.issue(alice.id, "alice", 0, deps.now())

    answer = await site.get("/mine", headers={"Authorization": f"Bearer {old}"})

    problem(answer, 401, "token_expired")
