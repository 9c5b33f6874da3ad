"""What pages have in common: who asks, what a person sees when something is refused, and what a form keeps to itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import NotFound
from app.usecases.deps import Deps
from app.web.endpoint import Access, Call
from app.web.pages import (
    action,
    page,
    safe_next,
    see_other,
)
from app.web.reading import MAX_FORM_FIELDS, MAX_JSON_BYTES
from tests.support.api import Api
from tests.support.app import serve_rows
from tests.support.people import Person
from tests.web.conftest import ROWS, SECRET
from tests.web.test_problems import problem

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTMX = {"HX-Request": "true"}


async def who(call: Call) -> web.Response:
    actor = call.maybe_actor
    return web.Response(text=actor.user.username if actor else "nobody")


async def crash(_call: Call) -> None:
    raise RuntimeError(f"the token is {SECRET}")


async def refuse(_call: Call) -> None:
    raise NotFound("There is no such thing")


async def fields(call: Call) -> web.Response:
    assert call.fields is not None
    return web.json_response(list(call.fields.items()))


PAGES = (
    *ROWS,
    page("/ui/open", who, "t_open", "Open", access=Access.PUBLIC),
    page("/ui/mine", who, "t_mine", "Mine"),
    page("/ui/admin-only", who, "t_admin", "Theirs", access=Access.ADMIN),
    page("/ui/crash", crash, "t_crash", "Crash", access=Access.PUBLIC),
    page("/ui/refuse", refuse, "t_refuse", "Refuse", access=Access.PUBLIC),
    action("/ui/send", fields, "t_send", "Send", access=Access.PUBLIC),
    action("/ui/mine", who, "t_mine_post", "Mine"),
)


@asynccontextmanager
async def site_with(deps: Deps, **settings: Any) -> AsyncIterator[Api]:
    changed = replace(deps, settings=replace(deps.settings, **settings))
    async with (
        serve_rows(changed, PAGES) as (_, base),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Api(session, base)


@pytest.fixture
async def pages(deps: Deps) -> AsyncIterator[Api]:
    """An application that has all middlewares, the API's rows of the tests, and the pages above."""
    async with site_with(deps) as site:
        yield site


def cookie(token: str, name: str = "fip_session") -> dict[str, str]:
    return {"Cookie": f"{name}={token}"}


# Who asks


async def test_cookie_when_bad_then_public_pages_are_shown_all_the_same(pages: Api) -> None:
    for bad in ("garbage", "a.b.c", "", "x" * 5000, '"quoted"'):
        answer = await pages.get("/ui/open", headers=cookie(bad))
        assert (answer.status, answer.text) == (200, "nobody"), bad


async def test_cookie_when_its_sign_in_has_ended_then_the_way_back_says_so(
    pages: Api, deps: Deps, alice: Person
) -> None:
    await deps.pool.execute(
        "update users set token_version = token_version + 1 where id = $1", alice.id
    )

    answer = await pages.get("/ui/mine?tab=2", headers=cookie(alice.token))

    assert answer.status == 303
    assert answer.headers["Location"] == "/ui/sign-in?next=%2Fui%2Fmine%3Ftab%3D2&ended=1"


async def test_header_when_sent_beside_a_cookie_then_it_alone_counts(
    pages: Api, alice: Person, bob: Person
) -> None:
    both = await pages.get("/ui/mine", as_=bob, headers=cookie(alice.token))
    assert both.text == "bob"
    for other in ("Bearer bad", "Basic YWxpY2U6eA==", "Bearer"):
        headers = {**cookie(alice.token), "Authorization": other}
        assert (await pages.get("/mine", headers=headers)).status == 401, other


async def test_cookie_when_sent_to_the_api_then_it_signs_in(pages: Api, alice: Person) -> None:
    answer = await pages.get("/mine", headers=cookie(alice.token))

    assert answer.json()["username"] == "alice"


async def test_cookie_when_an_allowed_origin_posts_with_it_then_refused(
    deps: Deps, alice: Person
) -> None:
    app = "https://app.test"
    async with site_with(deps, cors_origins=(app,)) as site:
        for fetch in ({}, {"Sec-Fetch-Site": "cross-site"}):
            headers = {"Origin": app, **fetch}
            kept = await site.post("/ui/mine", headers={**cookie(alice.token), **FORM, **headers})
            assert kept.status == 403
            problem(
                await site.post("/mine", headers={**cookie(alice.token), **headers}),
                403,
                "cross_site_request",
            )
            by_token = await site.post("/mine", as_=alice, headers=headers)
            assert by_token.status == 200
        read = await site.get("/mine", headers={**cookie(alice.token), "Origin": app})
        assert "Access-Control-Allow-Credentials" not in read.headers


async def test_cookie_when_behind_tls_then_only_the_one_that_no_neighbour_can_set(
    deps: Deps, alice: Person
) -> None:
    async with site_with(deps, public_url="https://platform.test") as site:
        plain = await site.get("/ui/open", headers=cookie(alice.token))
        host = await site.get("/ui/open", headers=cookie(alice.token, "__Host-fip_session"))

    assert (plain.text, host.text) == ("nobody", "alice")


# What is refused


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ui/refuse", 404), ("/ui/crash", 500), ("/ui/nowhere", 404), ("/nowhere", 404)],
)
async def test_error_when_a_person_meets_it_then_a_page_tells(
    pages: Api, path: str, status: int
) -> None:
    answer = await pages.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["X-Request-ID"] in answer.text
    assert 'href="/ui/"' in answer.text
    assert SECRET not in answer.text


async def test_error_when_a_part_meets_it_then_a_part_tells(pages: Api) -> None:
    for path, status in (("/ui/refuse", 404), ("/ui/crash", 500), ("/ui/mine", 401)):
        answer = await pages.get(path, headers=HTMX)
        assert answer.status == status
        assert "data-message=" in answer.text
        assert "<html" not in answer.text
        assert "Location" not in answer.headers


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html"])
async def test_error_when_the_api_gives_it_then_it_is_json_whatever_is_accepted(
    pages: Api, accept: str
) -> None:
    for path, status, code in (
        ("/refuse", 404, "not_found"),
        ("/mine", 401, "not_authenticated"),
        ("/crash", 500, "internal_error"),
    ):
        problem(await pages.get(path, headers={"Accept": accept}), status, code)


async def test_error_when_no_such_address_and_a_program_asks_then_json(pages: Api) -> None:
    problem(await pages.get("/ui/nowhere", headers={"Accept": "*/*"}), 404, "not_found")


async def test_page_when_of_administrators_then_others_see_a_page_that_says_so(
    pages: Api, alice: Person
) -> None:
    answer = await pages.get("/ui/admin-only", headers=cookie(alice.token))

    assert answer.status == 403
    assert "Only administrators" in answer.text
    assert "Ask an administrator" in answer.text


async def test_form_when_posted_by_nobody_then_signing_in_leads_home_and_not_to_the_target(
    pages: Api,
) -> None:
    answer = await pages.post("/ui/mine", headers=FORM, data=b"")

    assert (answer.status, answer.headers["Location"]) == (303, "/ui/sign-in")


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("/ui/jobs/new?file=3", "?next=%2Fui%2Fjobs%2Fnew%3Ffile%3D3"),
        ("/ui/", ""),
        ("/docs", ""),
        ("//evil.test/ui/", ""),
    ],
)
async def test_form_when_its_sign_in_has_ended_then_signing_in_leads_back_to_its_page(
    pages: Api, page: str, back: str
) -> None:
    answer = await pages.post("/ui/mine", headers={**FORM, "Referer": pages.base + page})

    assert (answer.status, answer.headers["Location"]) == (303, f"/ui/sign-in{back}")


async def test_page_when_method_is_wrong_then_refused(pages: Api) -> None:
    for method in ("DELETE", "PATCH", "PUT"):
        assert (await pages.request(method, "/ui/open")).status == 405


# Bodies of forms


async def test_form_when_it_has_every_shape_then_fields_arrive_as_typed(pages: Api) -> None:
    body = "a=1&a=2&empty=&plus=a+b&percent=%C3%A9%26%3D&bare"
    answer = await pages.post("/ui/send", headers=FORM, data=body)

    assert answer.json() == [
        ["a", "1"],
        ["a", "2"],
        ["empty", ""],
        ["plus", "a b"],
        ["percent", "é&="],
        ["bare", ""],
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"&".join([b"a=1"] * MAX_FORM_FIELDS), 200),
        (b"&".join([b"a=1"] * (MAX_FORM_FIELDS + 1)), 400),
        (b"a=" + b"x" * (MAX_JSON_BYTES - 2), 200),
        (b"a=" + b"x" * (MAX_JSON_BYTES - 1), 413),
        (b"a=%ff%fe", 400),
        (b"a=\xff\xfe", 400),
        (b"%ff=1", 400),
        (b"", 200),
    ],
    ids=["most fields", "too many fields", "largest", "too large", "escaped", "raw", "name", "empty"],
)  # fmt: skip
async def test_form_when_its_body_is_at_a_limit_then_taken_or_refused(
    pages: Api, body: bytes, status: int
) -> None:
    answer = await pages.post("/ui/send", headers=FORM, data=body)

    assert answer.status == status
    if status != 200:
        assert answer.headers["Content-Type"].startswith("text/html")
    elif body:
        assert answer.json()


async def test_form_when_too_large_and_in_pieces_then_refused(pages: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"a=" + b"x" * 10_000 + b"&"

    answer = await pages.post("/ui/send", headers=FORM, data=pieces())
    assert answer.status == 413


async def test_form_when_it_is_something_else_then_415(pages: Api) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        answer = await pages.post("/ui/send", headers={"Content-Type": kind}, data=b"{}")
        assert answer.status == 415, kind
    compressed = await pages.post(
        "/ui/send", headers={**FORM, "Content-Encoding": "gzip"}, data=b""
    )
    assert compressed.status == 415


# Where to go on


@given(st.text(alphabet="/\\ui:.@?#%&=ab \t\n\r\u2028", max_size=24))
def test_next_when_anything_is_given_then_it_leads_to_a_page_of_ours(text: str) -> None:
    goal = safe_next(text)

    assert goal.startswith("/ui/")
    assert "\\" not in goal
    assert goal.isprintable()
    assert goal in (text, "/ui/")


@pytest.mark.parametrize("path", ["/ui/jobs", "/ui/jobs?status=failed&q=a%2F%2Fb", "/ui/#how"])
def test_next_when_it_is_a_page_then_kept(path: str) -> None:
    assert safe_next(path) == path


def test_see_other_when_something_was_done_then_the_address_says_so() -> None:
    assert see_other("/ui/jobs").headers["Location"] == "/ui/jobs"
    assert see_other("/ui/jobs", done="saved").headers["Location"] == "/ui/jobs?done=saved"
    with_query = see_other("/ui/jobs?a=1", done="saved")
    assert (with_query.status, with_query.headers["Location"]) == (303, "/ui/jobs?a=1&done=saved")
