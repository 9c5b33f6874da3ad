"""Accounts and tokens: what each kind of token may, and what each kind of wrong one gets."""

import time
from dataclasses import replace

import jwt
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.tokens import Revoked, accounts_of, identify, issue_token
from tests.sandbox.support import User, serving


async def log_in(user: User, name: str = "alice", password: str = "Alice123") -> str:
    status, body = await user.call(
        "POST", "/login", data={"username": name, "password": password}, token=None
    )
    assert status == 200, body
    assert body["expires_in"] == 86_400
    token: str = body["access_token"]
    return token


async def new_token(user: User, query: str = "") -> str:
    path = f"/api/v2/users/alice/api-token{query}"
    status, body = await user.call("POST", path, token=await log_in(user))
    assert status == 200
    assert body["success"] is True
    token: str = body["token"]
    return token


@pytest.mark.parametrize("token", [None, "garbage", "Bearer alice-token", "a.b.c"])
async def test_token_when_missing_or_garbage_then_framework_401(
    user: User, token: str | None
) -> None:
    for path in ("/api/v2/jobs", "/api/v2/jobs/x", "/api/v2/server/apps/imputationserver2"):
        status, body = await user.get(path, token=token)
        assert status == 401
        assert body["message"] == "Unauthorized"
        assert body["_embedded"]["errors"][0]["message"]
        assert "success" not in body


@pytest.mark.parametrize("token", [None, "garbage"])
async def test_server_when_token_is_missing_or_garbage_then_200_without_apps(
    user: User, token: str | None
) -> None:
    status, body = await user.get("/api/v2/server", token=token)
    assert (status, body["loggedIn"], body["apps"]) == (200, False, [])
    assert "user" not in body
    assert body["maintenace"] is False


async def test_server_when_token_is_good_then_apps_carry_id_and_version(user: User) -> None:
    _, body = await user.get("/api/v2/server")
    assert body["loggedIn"] is True
    assert body["oauth"] == []
    assert [(a["id"], a["version"]) for a in body["apps"]] == [
        ("imputationserver2@2.0.12", "2.0.12")
    ]
    assert body["user"]["username"] == "alice"


async def test_api_token_when_issued_then_has_the_claims_of_cloudgene_3(user: User) -> None:
    token = await new_token(user)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert set(claims) >= {"sub", "iat", "exp", "iss", "roles", "api_hash", "mail", "name"}
    assert (claims["sub"], claims["username"]) == ("alice", "alice")
    assert (claims["token_type"], claims["api"]) == ("API_TOKEN", True)
    assert abs(claims["exp"] - time.time() - 30 * 86_400) < 60


async def test_api_token_when_replaced_then_old_one_is_403_and_not_401(user: User) -> None:
    first = await new_token(user)
    assert (await user.get("/api/v2/jobs", token=first))[0] == 200
    second = await new_token(user)
    status, body = await user.get("/api/v2/jobs", token=first)
    assert status == 403
    assert body["message"] == "Forbidden"
    assert (await user.get("/api/v2/jobs", token=second))[0] == 200
    assert (await user.get("/api/v2/jobs"))[0] == 403, "the configured token is replaced too"


async def test_api_token_when_expired_then_401(user: User) -> None:
    token = await new_token(user, "?expiration=0")
    assert (await user.get("/api/v2/jobs", token=token))[0] == 401


async def test_api_token_when_expiration_is_minus_one_then_good_for_decades(user: User) -> None:
    token = await new_token(user, "?expiration=-1")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] > time.time() + 20 * 365 * 86_400


@pytest.mark.parametrize("forged", ["none", "other key"])
async def test_api_token_when_forged_then_401(user: User, forged: str) -> None:
    claims = jwt.decode(await new_token(user), options={"verify_signature": False})
    token = (
        jwt.encode(claims, "", algorithm="none")
        if forged == "none"
        else jwt.encode(claims, "k" * 32, algorithm="HS256")
    )
    assert (await user.get("/api/v2/jobs", token=token))[0] == 401


async def test_api_token_when_used_for_account_changes_then_403(user: User) -> None:
    token = await new_token(user)
    for method in ("POST", "DELETE"):
        assert (await user.call(method, "/api/v2/users/alice/api-token", token=token))[0] == 403


async def test_api_token_when_revoked_then_403_and_not_valid(user: User) -> None:
    token = await new_token(user)
    login = await log_in(user)
    status, body = await user.call("DELETE", "/api/v2/users/alice/api-token", token=login)
    assert (status, body["success"]) == (200, True)
    assert (await user.get("/api/v2/jobs", token=token))[0] == 403
    _, verified = await user.call(
        "POST", "/api/v2/tokens/verify", data={"token": token}, token=None
    )
    assert verified["valid"] is False


async def test_verify_when_valid_then_expiry_is_iso_and_message_keeps_its_placeholder(
    user: User,
) -> None:
    data = {"token": await new_token(user)}
    status, body = await user.call("POST", "/api/v2/tokens/verify", data=data, token=None)
    assert status == 200
    assert body["valid"] is True
    assert body["message"] == "API Token was created by %s and is valid."
    assert body["username"] == "alice"
    assert "T" in body["expire"]


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c"])
async def test_verify_when_invalid_then_200_and_null_names(user: User, token: str) -> None:
    status, body = await user.call(
        "POST", "/api/v2/tokens/verify", data={"token": token}, token=None
    )
    assert (status, body["valid"], body["username"]) == (200, False, None)


async def test_verify_when_given_a_login_token_then_not_valid(user: User) -> None:
    data = {"token": await log_in(user)}
    _, body = await user.call("POST", "/api/v2/tokens/verify", data=data, token=None)
    assert body["valid"] is False


async def test_profile_when_path_names_another_then_own_profile(user: User) -> None:
    for name in ("alice", "bob", "me"):
        status, body = await user.get(f"/api/v2/users/{name}/profile")
        assert (status, body["username"]) == (200, "alice")
    assert body["hasApiToken"] is True
    assert "password" not in body


async def test_login_when_json_then_token(user: User) -> None:
    status, body = await user.call(
        "POST", "/login", json={"username": "alice", "password": "Alice123"}, token=None
    )
    assert status == 200
    assert (await user.get("/api/v2/jobs", token=body["access_token"]))[0] == 200


async def test_login_when_wrong_five_times_then_locked_even_with_the_right_password(
    user: User,
) -> None:
    wrong = {"username": "alice", "password": "nope"}
    for _ in range(5):
        status, body = await user.call("POST", "/login", data=wrong, token=None)
        assert (status, body["message"]) == (401, "Login Failed! Wrong Username or Password.")
    right = {"username": "alice", "password": "Alice123"}
    status, body = await user.call("POST", "/login", data=right, token=None)
    assert status == 401
    assert "locked for 30 minutes" in body["message"]


async def test_login_when_body_is_neither_form_nor_json_then_415(user: User) -> None:
    status, body = await user.call("POST", "/login", data=b"x", token=None)
    assert status == 415
    assert body["message"] == "Unsupported Media Type"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"username": ""}, "The username is required."),
        ({"username": "abc"}, "The username must contain at least four characters."),
        ({"username": "a-b-c"}, "Your username is not valid."),
        ({"username": "alice"}, "Username already exists."),
        ({"mail": "alice@example.org"}, "E-Mail is already registered."),
        ({"confirm-new-password": "Other123"}, "Please check your passwords."),
        ({"new-password": "abc12345", "confirm-new-password": "abc12345"}, "uppercase"),
        ({"full-name": ""}, "The full name is required."),
    ],
)
async def test_register_when_something_is_wrong_then_200_with_success_false(
    user: User, change: dict[str, str], message: str
) -> None:
    form = {
        "username": "carol",
        "full-name": "Carol C.",
        "mail": "carol@example.org",
        "new-password": "Carol123",
        "confirm-new-password": "Carol123",
        **change,
    }
    status, body = await user.call("POST", "/api/v2/users/register", data=form, token=None)
    assert (status, body["success"]) == (200, False)
    assert message in body["message"]


async def test_register_when_right_then_a_person_gets_all_the_way_to_a_token(user: User) -> None:
    form = {
        "username": "carol",
        "full-name": "Carol C.",
        "mail": "carol@example.org",
        "new-password": "Carol123",
        "confirm-new-password": "Carol123",
    }
    status, body = await user.call("POST", "/api/v2/users/register", data=form, token=None)
    assert (status, body["success"]) == (200, True)
    login = await log_in(user, "carol", "Carol123")
    _, profile = await user.get("/api/v2/users/carol/profile", token=login)
    assert profile["hasApiToken"] is False
    _, made = await user.call("POST", "/api/v2/users/carol/api-token", token=login)
    assert (await user.get("/api/v2/jobs", token=made["token"]))[0] == 200


async def test_issue_token_when_called_beside_a_running_server_then_newest_wins(
    user: User, config: SandboxConfig
) -> None:
    first = issue_token(config, "bob")
    assert (await user.get("/api/v2/jobs", token=first))[0] == 200
    second = issue_token(config, "bob", 1)
    assert (await user.get("/api/v2/jobs", token=first))[0] == 403
    assert (await user.get("/api/v2/jobs", token=second))[0] == 200
    with pytest.raises(LookupError):
        issue_token(config, "nobody")


async def test_accounts_when_server_restarts_then_tokens_still_work(
    config: SandboxConfig, user: User
) -> None:
    token = await new_token(user)
    async with serving(replace(config, users={})) as (_, base):
        again = User(user.session, base, token)
        assert (await again.get("/api/v2/jobs"))[0] == 200


def test_fixed_token_when_user_gets_a_jwt_then_revoked(config: SandboxConfig) -> None:
    accounts = accounts_of(config)
    identity = identify(config, accounts, "alice-token")
    assert identity is not None
    assert (identity.account.username, identity.kind) == ("alice", "api")
    issue_token(config, "alice")
    with pytest.raises(Revoked):
        identify(config, accounts, "alice-token")


async def test_demo_user_when_configured_then_can_log_in(config: SandboxConfig, user: User) -> None:
    demo = replace(config, demo_user=SandboxUser("demo", "Demo12345"))
    async with serving(demo) as (_, base):
        await log_in(User(user.session, base, ""), "demo", "Demo12345")


async def test_secrets_when_stored_then_only_the_owner_reads_them(
    config: SandboxConfig, server: tuple[web.Application, str], user: User
) -> None:
    await new_token(user)
    for name in ("jwt-secret", "accounts/alice.json"):
        assert (config.data_dir / name).stat().st_mode & 0o077 == 0
    assert b"Alice123" not in (config.data_dir / "accounts/alice.json").read_bytes()
