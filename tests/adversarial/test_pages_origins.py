"""Forms of the pages are ours alone: an origin that may use the API may not sign a browser in as somebody else."""

from dataclasses import replace

import aiohttp

from app.usecases.deps import Deps
from tests.support.app import serve
from tests.support.people import PASSWORD, Person

APP = "https://app.test"


async def test_sign_in_when_an_origin_of_the_api_posts_it_then_refused_and_no_cookie(
    deps: Deps, alice: Person
) -> None:
    changed = replace(deps, settings=replace(deps.settings, cors_origins=(APP,)))
    form = {"username": "alice", "password": PASSWORD}
    jar = aiohttp.DummyCookieJar()
    async with serve(changed) as (_, base), aiohttp.ClientSession(cookie_jar=jar) as session:
        for path, how in (("/ui/sign-in", {"data": form}), ("/api/auth/login", {"json": form})):
            async with session.post(base + path, headers={"Origin": APP}, **how) as answer:  # type: ignore[arg-type]
                assert answer.status == (403 if path.startswith("/ui/") else 200)
                assert "Set-Cookie" not in answer.headers
