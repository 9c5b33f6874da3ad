"""Signing in and out, and what people may change about their own account.

A token counts as long as its version is the user's: signing out, a new password, and disabling the account raise the version, and
every older token has ended at once.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.core.accounts import check_email, check_new_password, check_username, clean_line
from app.core.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated
from app.core.models import User
from app.core.notices import change_preferences
from app.db import accounts as db
from app.security.tokens import TokenRejected
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once
from app.usecases.one_time import send_confirmation

_SIGN_IN = "Sign in again at POST /api/auth/login."


@dataclass(frozen=True, slots=True)
class SignIn:
    """A fresh sign-in token and whose it is."""

    user: User
    token: str = field(repr=False)
    expires_in_s: int


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody gives who makes an account."""

    username: str
    password: str
    email: str
    full_name: str | None = None
    institution: str | None = None
    country: str | None = None


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody changes about the own account; absent fields stay."""

    full_name: str | UnsetType | None = UNSET
    institution: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    email: str | UnsetType = UNSET
    notification_preferences: Mapping[str, Any] | UnsetType = UNSET


async def authenticate(deps: Deps, token: str, address: str, *, is_reading: bool = False) -> Actor:
    """Give who sends this token. Raises NotAuthenticated: forged, expired, ended, or the account is disabled.

    For one who `is_reading`, the user may be as of `app.usecases.recent.MAX_AGE_S` ago.
    """
    try:
        claims = deps.tokens.read(token)
    except TokenRejected as error:
        if error.expired:
            raise NotAuthenticated(
                "Your sign-in has expired", code="token_expired", action=_SIGN_IN
            ) from None
        raise _not_ours() from None
    user = deps.recent_users.find(claims.user_id) if is_reading else None
    if user is None:
        epoch, began = deps.recent_users.epoch, time.monotonic()
        user = await db.find_user(deps.pool, claims.user_id)
        if user is not None:
            deps.recent_users.keep(user, epoch, began)
    if user is None or not user.is_active or user.token_version != claims.version:
        raise NotAuthenticated("Your sign-in has ended", code="token_revoked", action=_SIGN_IN)
    return Actor(user, address)


def _not_ours() -> NotAuthenticated:
    return NotAuthenticated(
        "This is not a sign-in token of this platform", code="invalid_token", action=_SIGN_IN
    )


def issue(deps: Deps, user: User) -> SignIn:
    """Give a user a fresh token."""
    token = deps.tokens.issue(user.id, user.username, user.token_version, deps.now())
    return SignIn(user, token, int(deps.tokens.lifetime_s))


async def login(deps: Deps, username: str, password: str, address: str) -> SignIn:
    """Sign somebody in.

    Raises NotAuthenticated, alike and after the same work for a wrong password, an unknown name and a disabled account;
    RateLimited when this address guesses at this account too fast.
    """
    deps.passwords.begin_attempt(username, address)
    user = await db.find_user_by_username(deps.pool, username.strip())
    fits = await deps.passwords.check(password, user.password_hash if user is not None else None)
    if user is None or not fits or not user.is_active:
        await audit.record(
            deps.pool,
            "auth.login_failed",
            user_id=user.id if user is not None else None,
            address=address,
        )
        raise NotAuthenticated(
            "The user name or the password is wrong",
            code="invalid_credentials",
            action="Check both, or ask for a new password at POST /api/auth/password-reset.",
        )
    deps.passwords.forgive_attempt(username, address)
    async with deps.pool.acquire() as connection, connection.transaction():
        await db.note_login(connection, user.id, deps.now())
        await audit.record(connection, "auth.login", user_id=user.id, address=address)
    return issue(deps, replace(user, last_login_at=deps.now()))


async def logout(deps: Deps, actor: Actor) -> None:
    """End every token of the one who asks."""
    async with deps.pool.acquire() as connection, connection.transaction():
        await db.end_tokens(connection, actor.id)
        await audit.record(connection, "auth.logout", actor=actor)


async def change_password(deps: Deps, actor: Actor, current: str, new: str) -> SignIn:
    """Write a new password, end every older token, and give a fresh one. Raises InvalidInput, RateLimited."""
    user = actor.user
    check_new_password(new, user.username, "new_password")
    address = actor.address or ""
    deps.passwords.begin_attempt(user.username, address)
    if not await deps.passwords.check(current, user.password_hash):
        raise InvalidInput("The current password is wrong", code="wrong_password")
    deps.passwords.forgive_attempt(user.username, address)
    hashed = await deps.passwords.hash(new)
    async with deps.pool.acquire() as connection, connection.transaction():
        changed = await db.set_password(connection, user.id, hashed)
        await audit.record(connection, "auth.password_changed", actor=actor)
    if changed is None:
        raise NotAuthenticated("This account is gone")
    return issue(deps, changed)


async def register(deps: Deps, given: Registration, address: str, once: Once | None = None) -> User:
    """Make an account for a stranger, and mail a link that confirms the address.

    Whether the address is known already is not told: it becomes the account's own only by the link.
    Raises Forbidden where registration is closed, InvalidInput, Conflict when the name is taken.
    """
    if deps.settings.registration != "open":
        raise Forbidden(
            "Registration is closed here",
            code="registration_closed",
            action="Ask the administrator for an account.",
        )
    new = await _new_user(deps, given, role="user", confirmed=False)
    async with deps.pool.acquire() as connection, connection.transaction():
        user = await _insert(connection, new)
        await send_confirmation(deps, connection, user)
        await audit.record(connection, "auth.registered", user_id=user.id, address=address)
        if once is not None:
            await once.remember(connection, user, owner_id=user.id)
    return user


async def find_user_id(deps: Deps, username: str) -> int | None:
    """Give the id of an account by its name. Never show whether there is one."""
    user = await db.find_user_by_username(deps.pool, username.strip())
    return user.id if user is not None else None


async def create_user(deps: Deps, given: Registration, role: str) -> User:
    """Make an account on an administrator's word: the address, which may be empty, needs no confirmation.

    Raises InvalidInput, Conflict.
    """
    new = await _new_user(deps, given, role=role, confirmed=True)
    if new.email and await db.find_user_by_email(deps.pool, new.email) is not None:
        raise Conflict("This e-mail address belongs to another account", code="email_taken")
    async with deps.pool.acquire() as connection, connection.transaction():
        user = await _insert(connection, new)
        await audit.record(
            connection,
            "user.created",
            resource_type="user",
            resource_id=user.id,
            details={"role": role},
        )
    return user


async def update_profile(deps: Deps, actor: Actor, change: ProfileChange) -> User:
    """Change what people may about themselves; a new address is mailed a link and counts once that was followed.

    Raises InvalidInput.
    """
    email = UNSET if isinstance(change.email, UnsetType) else check_email(change.email)
    lines = {
        name: clean_line(value, name)
        for name in ("full_name", "institution", "country")
        if (value := getattr(change, name)) is not UNSET
    }
    async with deps.pool.acquire() as connection, connection.transaction():
        user = await db.lock_user(connection, actor.id)
        if user is None:
            raise NotAuthenticated("This account is gone")
        fields: dict[str, Any] = dict(lines)
        if not isinstance(change.notification_preferences, UnsetType):
            fields["notification_preferences"] = change_preferences(
                user.notification_preferences, change.notification_preferences
            )
        if not isinstance(email, UnsetType):
            is_own = user.email is not None and email.lower() == user.email.lower()
            fields["pending_email"] = None if is_own else email
        changed = replace(user, **fields)
        await db.update_profile(connection, changed)
        if fields.get("pending_email"):
            await send_confirmation(deps, connection, changed)
        await audit.record(
            connection, "user.updated", actor=actor, details={"fields": sorted(fields)}
        )
    return changed


async def _new_user(deps: Deps, given: Registration, *, role: str, confirmed: bool) -> db.NewUser:
    username = check_username(given.username)
    check_new_password(given.password, username)
    email = check_email(given.email) if given.email or not confirmed else None
    return db.NewUser(
        username=username,
        password_hash=await deps.passwords.hash(given.password),
        role=role,
        email=email if confirmed else None,
        pending_email=None if confirmed else email,
        full_name=clean_line(given.full_name, "full_name"),
        institution=clean_line(given.institution, "institution"),
        country=clean_line(given.country, "country"),
    )


async def _insert(connection: Any, new: db.NewUser) -> User:
    user = await db.insert_user(connection, new)
    if user is None:
        raise Conflict(
            "This user name is taken", code="username_taken", action="Choose another one."
        )
    return user
