"""The pages of accounts, settings and users, without JavaScript."""

import re

import pytest

from app.db.accounts import find_user
from app.settings import Settings
from app.usecases.deps import Deps
from app.usecases.one_time import ensure_setup_link
from tests.support.api import Api
from tests.support.people import PASSWORD, Person
from tests.support.signing_in import mailed_link

NEW = {"username": "dora", "password": PASSWORD, "email": "dora@example.org"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    from dataclasses import replace  # noqa: PLC0415

    return replace(settings, registration="open")


async def page_link(deps: Deps, recipient: str) -> str:
    link = await mailed_link(deps, recipient)
    return link.replace("/api/auth/email-confirm/", "/ui/confirm-email/").replace(
        "/api/auth/", "/ui/"
    )


async def test_register_when_done_then_signed_in_and_the_address_confirmed_by_a_button(
    client: Api, deps: Deps
) -> None:
    answer = await client.post("/ui/register", data={**NEW, "country": "ML"})
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    me = await client.get("/users/me", headers={"Cookie": cookie})
    assert (me.json()["pending_email"], me.json()["country"]) == ("dora@example.org", "ML")

    link = await page_link(deps, "dora@example.org")
    for _ in range(2):  # a scanner of mail may look as often as it likes
        assert (await client.get(link)).status == 200
    assert (await client.post(link, data={})).status == 303
    me = await client.get("/users/me", headers={"Cookie": cookie})
    assert me.json()["email"] == "dora@example.org"
    assert (await client.get(link)).status == 404


async def test_register_when_refused_then_what_was_typed_stays_but_for_the_password(
    client: Api, alice: Person
) -> None:
    answer = await client.post(
        "/ui/register", data={**NEW, "username": "alice", "full_name": "<Dora>"}
    )

    assert answer.status == 409
    assert "taken" in answer.text
    assert "&lt;Dora&gt;" in answer.text
    assert PASSWORD not in answer.text


async def test_reset_when_asked_then_the_same_answer_for_everybody_and_a_link_that_works_once(
    client: Api, deps: Deps, alice: Person
) -> None:
    answers = [
        (await client.post("/ui/password-reset", data={"username": name})).text
        for name in ("alice", "nobody-of-that-name")
    ]
    assert answers[0] == answers[1]

    link = await page_link(deps, "alice@example.org")
    short = await client.post(link, data={"new_password": "short"})
    assert short.status == 400
    assert "at least 8" in short.text
    done = await client.post(link, data={"new_password": "a much longer one"})
    assert done.status == 303
    assert "Set-Cookie" in done.headers
    assert (await client.post(link, data={"new_password": "a much longer one"})).status == 404


async def test_setup_when_the_link_is_opened_then_makes_one_administrator(
    client: Api, deps: Deps
) -> None:
    link = (await ensure_setup_link(deps) or "").removeprefix("http://platform.test")
    assert (await client.get(link)).status == 200
    answer = await client.post(link, data={"username": "root", "password": PASSWORD})
    assert answer.status == 303
    assert (await client.get(link)).status == 404


async def test_profile_when_changed_then_saved_and_empty_means_removed(
    client: Api, alice: Person
) -> None:
    path = "/ui/settings/profile"
    given = {"full_name": "Alice A.", "institution": "SBIMB", "country": "ZA", "email": ""}
    assert (await client.post(path, as_=alice, data=given)).status == 303
    await client.post(path, as_=alice, data={**given, "institution": ""})
    me = (await client.get("/users/me", as_=alice)).json()
    assert (me["full_name"], me["institution"], me["country"]) == ("Alice A.", None, "ZA")
    assert me["email"] == "alice@example.org"

    wrong = await client.post(path, as_=alice, data={**given, "email": "no address"})
    assert wrong.status == 400
    assert "e-email" in wrong.text


async def test_password_when_changed_then_the_browser_stays_and_others_go(
    client: Api, alice: Person
) -> None:
    fields = {"current_password": PASSWORD, "new_password": "another horse 8"}
    answer = await client.post("/ui/settings/password", as_=alice, data=fields)

    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert (await client.get("/users/me", headers={"Cookie": cookie})).status == 200
    assert (await client.get("/users/me", as_=alice)).status == 401


async def test_notification_settings_when_unticked_then_off(client: Api, alice: Person) -> None:
    path = "/ui/settings/notifications"
    shown = await client.get(path, as_=alice)
    boxes = re.findall(r'name="([a-z_]+\.[a-z]+)"', shown.text)
    assert len(boxes) == 24

    kept = {name: "on" for name in boxes if name != "job_queued.email"}
    assert (await client.post(path, as_=alice, data=kept)).status == 303

    me = (await client.get("/users/me", as_=alice)).json()
    assert me["notification_preferences"]["job_queued"] == {"web": True, "email": False}
    assert me["notification_preferences"]["job_failed"] == {"web": True, "email": True}


async def test_audit_when_filtered_then_own_acts_in_words(
    client: Api, alice: Person, bob: Person
) -> None:
    await client.post("/api/auth/login", json={"username": "alice", "password": PASSWORD})
    await client.post("/api/auth/login", json={"username": "alice", "password": "wrong one"})
    await client.patch("/users/me", as_=alice, json={"full_name": "A"})

    every = await client.get("/ui/settings/audit", as_=alice)
    assert "A sign-in failed" in every.text
    assert "Changed the profile" in every.text
    signs = await client.get("/ui/settings/audit?group=auth&since=2020-01-01", as_=alice)
    assert "Signed in" in signs.text
    assert "Changed the profile" not in signs.text
    for odd in ("?group=nonsense", "?since=never", "?since=2999-01-01"):
        assert (await client.get(f"/ui/settings/audit{odd}", as_=alice)).status == 200
    assert "Changed the profile" not in (await client.get("/ui/settings/audit", as_=bob)).text


async def test_users_when_a_user_asks_then_refused(
    client: Api, alice: Person, admin: Person
) -> None:
    for path in ("", "/new", f"/{admin.id}", f"/{admin.id}/disable"):
        answer = await client.get(f"/ui/admin/users{path}", as_=alice)
        assert answer.status == 403
        assert "text/html" in answer.headers["Content-Type"]


async def test_user_when_made_without_a_password_then_chooses_one_by_mail(
    client: Api, deps: Deps, admin: Person
) -> None:
    path = "/ui/admin/users/new"
    bare = await client.post(path, as_=admin, data={"username": "erik", "role": "user"})
    assert bare.status == 400
    made = await client.post(
        path, as_=admin, data={"username": "erik", "role": "user", "email": "erik@example.org"}
    )
    assert made.status == 303

    link = await page_link(deps, "erik@example.org")
    assert (await client.post(link, data={"new_password": PASSWORD})).status == 303
    signed = await client.post("/api/auth/login", json={"username": "erik", "password": PASSWORD})
    assert signed.status == 200
    assert "erik" in (await client.get("/ui/admin/users?q=eri", as_=admin)).text
    assert "erik" not in (await client.get("/ui/admin/users?show=disabled", as_=admin)).text


async def test_reset_link_when_a_name_is_anothers_address_then_goes_to_the_chosen_account(
    client: Api, deps: Deps, admin: Person, alice: Person
) -> None:
    given = {"username": "alice@example.org", "email": "other@example.org", "password": PASSWORD}
    chosen = (await client.post("/users", as_=admin, json=given)).json()["id"]

    await client.post(f"/ui/admin/users/{chosen}/password-link", as_=admin, data={})

    rows = await deps.pool.fetch("select user_id from one_time_tokens")
    assert [row["user_id"] for row in rows] == [chosen]


async def test_user_when_disabled_then_signed_out_at_once_and_back_when_enabled(
    client: Api, deps: Deps, admin: Person, alice: Person
) -> None:
    path = f"/ui/admin/users/{alice.id}"
    assert "Disable alice?" in (await client.get(f"{path}/disable", as_=admin)).text
    for _ in range(2):  # two tabs
        assert (await client.post(f"{path}/disable", as_=admin, data={})).status == 303
    assert (await client.get("/users/me", as_=alice)).status == 401
    user = await find_user(deps.pool, alice.id)
    assert user is not None
    assert not user.is_active

    await client.post(f"{path}/enable", as_=admin, data={})
    signed = await client.post("/api/auth/login", json={"username": "alice", "password": PASSWORD})
    assert signed.status == 200


async def test_administrator_when_last_or_oneself_then_stays(
    client: Api, admin: Person, alice: Person
) -> None:
    own = await client.post(f"/ui/admin/users/{admin.id}/disable", as_=admin, data={})
    assert own.status == 409
    assert "your own account" in own.text
    answer = await client.patch(f"/users/{admin.id}", as_=admin, json={"role": "user"})
    assert answer.json()["code"] == "own_account"

    assert (
        await client.patch(f"/users/{alice.id}", as_=admin, json={"role": "admin"})
    ).status == 200
    listed = await client.get("/users?role=admin", as_=admin)
    assert {item["username"] for item in listed.json()} == {"root", "alice"}


async def test_users_api_when_a_user_asks_then_refused(client: Api, alice: Person) -> None:
    for method, path in (("GET", "/users"), ("GET", "/users/1"), ("PATCH", "/users/1")):
        assert (await client.request(method, path, as_=alice, json={})).status == 403
