"""The sign-in of a browser: the cookie, what it opens, and who may use it."""

import pytest

from app.web.pages import safe_next
from tests.support.api import Answer, Api
from tests.support.people import Person

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def sign_in(client: Api, who: Person, **fields: str) -> Answer:
    data = {"username": who.user.username, "password": who.password, **fields}
    return await client.post("/ui/sign-in", data=data)


def cookie_of(answer: Answer) -> str:
    return answer.headers["Set-Cookie"].partition(";")[0]


async def test_sign_in_when_right_then_scripts_cannot_read_the_cookie(
    client: Api, alice: Person
) -> None:
    answer = await sign_in(client, alice, next="/ui/jobs")

    assert answer.status == 303
    assert answer.headers["Location"] == "/ui/jobs"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


async def test_cookie_when_sent_then_opens_pages_and_the_api(client: Api, alice: Person) -> None:
    cookie = cookie_of(await sign_in(client, alice))

    me = await client.get("/api/auth/me", headers={"Cookie": cookie})
    assert me.json()["username"] == "alice"
    page = await client.get("/ui/", headers={"Cookie": cookie})
    assert "alice" in page.text


async def test_cookie_when_another_site_posts_with_it_then_refused(
    client: Api, alice: Person
) -> None:
    cookie = cookie_of(await sign_in(client, alice))
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.test"},
        {"Origin": "http://evil.test"},
        {"Referer": "http://evil.test/page"},
    ):
        answer = await client.post("/ui/sign-out", headers={"Cookie": cookie, **FORM, **headers})
        assert answer.status == 403, headers
    assert (await client.get("/api/auth/me", headers={"Cookie": cookie})).status == 200


async def test_cookie_when_signed_out_then_is_good_for_nothing(client: Api, alice: Person) -> None:
    cookie = cookie_of(await sign_in(client, alice))
    answer = await client.post("/ui/sign-out", headers={"Cookie": cookie, **FORM})

    assert answer.status == 303
    assert (await client.get("/api/auth/me", headers={"Cookie": cookie})).status == 401


async def test_sign_in_when_the_password_is_wrong_then_the_page_says_so_and_keeps_no_secret(
    client: Api, alice: Person
) -> None:
    answer = await client.post(
        "/ui/sign-in", data={"username": "alice", "password": "not-this-one"}
    )

    assert answer.status == 401
    assert "wrong" in answer.text
    assert "not-this-one" not in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.test/", "//evil.test/", "/\\evil.test", "/ui/\\evil", "javascript:alert(1)", "/ui//x\n", "", None,
        "/jobs", "/ui/\tx", "http:/ui/jobs",
    ],
)  # fmt: skip
def test_next_when_it_leads_elsewhere_then_home(path: str | None) -> None:
    assert safe_next(path) == "/ui/"


async def test_page_when_nobody_is_signed_in_then_leads_to_the_sign_in_and_back(
    client: Api,
) -> None:
    answer = await client.get("/ui/nothing-here", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "text/html" in answer.headers["Content-Type"]


async def test_static_when_asked_then_is_kept_for_ever_and_compressed(client: Api) -> None:
    page = await client.get("/ui/")
    href = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await client.get(href, headers={"Accept-Encoding": "gzip"})

    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert (await client.get("/static/000000000000/../app/main.py")).status in (400, 404)
    assert (await client.get("/static/000000000000/%2e%2e/app/main.py")).status in (400, 404)
