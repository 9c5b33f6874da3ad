"""Signing in and out, registration, and one-time links."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web

from app.core.models import User
from app.core.notices import full_preferences
from app.usecases import accounts, one_time
from app.usecases.accounts import Registration, SignIn
from app.web.endpoint import Access, Call, Endpoint

Secret = Annotated[str, msgspec.Meta(max_length=1000)]
"""A password as it is typed; its rules are judged later, in words of their own."""
Text = Annotated[str, msgspec.Meta(max_length=1000)]

_LINK = r"{token:[A-Za-z0-9_-]{20,100}}"


class UserOut(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its owner sees it."""

    id: int
    username: str
    email: str | None
    pending_email: str | None
    full_name: str | None
    institution: str | None
    country: str | None
    role: str
    notification_preferences: dict[str, dict[str, bool]]
    created_at: datetime
    last_login: datetime | None

    @classmethod
    def of(cls, user: User) -> "UserOut":
        return cls(
            id=user.id,
            username=user.username,
            email=user.email,
            pending_email=user.pending_email,
            full_name=user.full_name,
            institution=user.institution,
            country=user.country,
            role=user.role,
            notification_preferences=full_preferences(user.notification_preferences),
            created_at=user.created_at,
            last_login=user.last_login_at,
        )


class LoginIn(msgspec.Struct, frozen=True):
    username: Text
    password: Secret


class SignInOut(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in token; send it as `Authorization: Bearer <access_token>`. `expires_in` is in seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - RFC 6750's word, not a secret
    expires_in: int
    user: UserOut


class PasswordIn(msgspec.Struct, frozen=True):
    current_password: Secret
    new_password: Secret


class ResetIn(msgspec.Struct, frozen=True):
    username: Text
    """User name or e-mail address."""


class NewPasswordIn(msgspec.Struct, frozen=True):
    new_password: Secret


class SetupIn(msgspec.Struct, frozen=True):
    username: Text
    password: Secret
    email: Text = ""


class MessageOut(msgspec.Struct, frozen=True):
    message: str


def _signed_in(sign_in: SignIn) -> SignInOut:
    return SignInOut(
        access_token=sign_in.token,
        expires_in=sign_in.expires_in_s,
        user=UserOut.of(sign_in.user),
    )


async def login(call: Call) -> SignInOut:
    given: LoginIn = call.body
    return _signed_in(await accounts.login(call.deps, given.username, given.password, call.address))


async def logout(call: Call) -> MessageOut:
    await accounts.logout(call.deps, call.actor)
    return MessageOut("Signed out; every token of this account has ended")


async def me(call: Call) -> UserOut:
    return UserOut.of(call.actor.user)


async def register(call: Call) -> UserOut | web.Response:
    given: Registration = call.body
    if call.idempotency_key is not None:
        # Nobody is signed in yet: the key belongs to the account that the first request made.
        owner_id = await accounts.find_user_id(call.deps, given.username)
        if (replayed := await call.replay(msgspec.json.encode(given), owner_id)) is not None:
            return replayed
    return UserOut.of(
        await accounts.register(call.deps, given, call.address, once=call.once(UserOut.of))
    )


async def change_password(call: Call) -> SignInOut:
    given: PasswordIn = call.body
    return _signed_in(
        await accounts.change_password(
            call.deps, call.actor, given.current_password, given.new_password
        )
    )


async def request_reset(call: Call) -> MessageOut:
    given: ResetIn = call.body
    await one_time.request_password_reset(call.deps, given.username, call.address)
    return MessageOut(
        "If there is such an account with a confirmed e-mail address, a link was sent to it"
    )


async def explain_reset(call: Call) -> MessageOut:
    await one_time.ensure_usable(call.deps, one_time.PASSWORD_RESET, call.path_text("token"))
    return MessageOut('POST {"new_password": "…"} to this address to set a new password')


async def reset_password(call: Call) -> SignInOut:
    given: NewPasswordIn = call.body
    user = await one_time.reset_password(
        call.deps, call.path_text("token"), given.new_password, call.address
    )
    return _signed_in(accounts.issue(call.deps, user))


async def confirm_email(call: Call) -> MessageOut:
    await one_time.confirm_email(call.deps, call.path_text("token"), call.address)
    return MessageOut("Thank you: the e-mail address is confirmed")


async def explain_setup(call: Call) -> MessageOut:
    await one_time.ensure_usable(call.deps, one_time.SETUP, call.path_text("token"))
    return MessageOut(
        'POST {"username": "…", "password": "…", "email": "…"} to this address to make the first administrator'
    )


async def set_up(call: Call) -> SignInOut:
    given: SetupIn = call.body
    user = await one_time.set_up(
        call.deps,
        call.path_text("token"),
        username=given.username,
        password=given.password,
        email=given.email,
        address=call.address,
    )
    return _signed_in(accounts.issue(call.deps, user))


def _public(method: str, path: str, handler: Any, summary: str, **rest: Any) -> Endpoint:
    return Endpoint(
        method,
        f"/api/auth/{path}",
        handler,
        f"auth.{handler.__name__}",
        summary,
        access=Access.PUBLIC,
        tag="auth",
        **rest,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _public("POST", "login", login, "Sign in", body=LoginIn, response=SignInOut),
    _public(
        "POST",
        "register",
        register,
        "Make an account, where the platform is open for it",
        body=Registration,
        response=UserOut,
        status=201,
        creates=True,
        per_minute=5,
    ),
    _public(
        "POST",
        "password-reset",
        request_reset,
        "Ask for a link that sets a new password",
        body=ResetIn,
        response=MessageOut,
        status=202,
        per_minute=5,
    ),
    _public(
        "GET",
        f"password-reset/{_LINK}",
        explain_reset,
        "Tell whether a link of a password reset can be used",
        response=MessageOut,
        per_minute=30,
    ),
    _public(
        "POST",
        f"password-reset/{_LINK}",
        reset_password,
        "Set a new password by a link, and sign in",
        body=NewPasswordIn,
        response=SignInOut,
        per_minute=30,
    ),
    _public(
        "GET",
        f"email-confirm/{_LINK}",
        confirm_email,
        "Confirm an e-mail address by a link",
        response=MessageOut,
        head=False,
        per_minute=30,
    ),
    _public(
        "GET",
        f"setup/{_LINK}",
        explain_setup,
        "Tell whether the set-up link can be used",
        response=MessageOut,
        per_minute=30,
    ),
    _public(
        "POST",
        f"setup/{_LINK}",
        set_up,
        "Make the first administrator, and sign in",
        body=SetupIn,
        response=SignInOut,
        status=201,
        per_minute=30,
    ),
    Endpoint(
        "POST",
        "/api/auth/logout",
        logout,
        "auth.logout",
        "Sign out everywhere",
        response=MessageOut,
        tag="auth",
    ),
    Endpoint(
        "POST",
        "/api/auth/password",
        change_password,
        "auth.change_password",
        "Change the password; every older token ends",
        body=PasswordIn,
        response=SignInOut,
        tag="auth",
    ),
    Endpoint(
        "GET", "/api/auth/me", me, "auth.me", "Who is signed in", response=UserOut, tag="auth"
    ),
)
