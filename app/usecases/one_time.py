"""One-time links: to confirm an e-mail address, to set a new password, to make the first administrator.

A link is an address with a random token in its path. The database keeps only the token's hash, so whoever reads it (or a backup)
cannot follow the link.
"""

import hashlib
import secrets
from datetime import timedelta

from app.core.accounts import check_email, check_new_password, check_username
from app.core.errors import Conflict, NotFound
from app.core.models import User
from app.db import accounts as db
from app.db.accounts import OneTimeToken
from app.db.queries import Connection, Executor
from app.usecases import audit
from app.usecases.deps import Deps
from app.usecases.outbox import send_mail

EMAIL_CONFIRM = "email_confirm"
PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a purpose
SETUP = "setup"

LIFETIMES = {
    EMAIL_CONFIRM: timedelta(days=3),
    PASSWORD_RESET: timedelta(hours=1),
    SETUP: timedelta(days=7),
}
INVITATION = timedelta(days=7)
"""How long a link is good by which somebody chooses the password of an account that was made for them."""
PATHS = {EMAIL_CONFIRM: "confirm-email", PASSWORD_RESET: "password-reset", SETUP: "setup"}
"""The page of each purpose, below `/ui/`."""


def link(deps: Deps, purpose: str, token: str) -> str:
    """Give the address of a one-time link: a page. `/api/auth/…` does the same for programs."""
    return f"{deps.settings.base_url}/ui/{PATHS[purpose]}/{token}"


async def send_confirmation(deps: Deps, connection: Connection, user: User) -> None:
    """Mail a link to the address that waits for confirmation; older links of the user's end."""
    if user.pending_email is None:
        return
    await _mail_link(
        deps, connection, user, EMAIL_CONFIRM, user.pending_email, {"email": user.pending_email}
    )


async def request_password_reset(deps: Deps, name: str, address: str) -> None:
    """Mail a link to the user of that name or address, if there is one whose address is confirmed. Never tells."""
    name = name.strip()
    find = db.find_user_by_email if "@" in name else db.find_user_by_username
    user = await find(deps.pool, name)
    if user is None and "@" in name:
        user = await db.find_user_by_username(deps.pool, name)
    if user is None or user.email is None or not user.is_active:
        return
    async with deps.pool.acquire() as connection, connection.transaction():
        await mail_password_reset(deps, connection, user)
        await audit.record(
            connection, "auth.password_reset_requested", user_id=user.id, address=address
        )


async def mail_password_reset(deps: Deps, connection: Connection, user: User) -> None:
    """Mail this very user, who has an address, a link to choose a new password; older links end."""
    if user.email is None:
        raise ValueError("a user without an address cannot be mailed")
    await _mail_link(deps, connection, user, PASSWORD_RESET, user.email, {})


async def invite(deps: Deps, connection: Connection, user: User) -> None:
    """Mail a new user, who has an address, a link to choose a password."""
    if user.email is None:
        raise ValueError("a user without an address cannot be invited")
    await _mail_link(
        deps,
        connection,
        user,
        PASSWORD_RESET,
        user.email,
        {},
        template="account_created",
        lifetime=INVITATION,
    )


async def ensure_usable(deps: Deps, purpose: str, token: str) -> None:
    """Raise NotFound unless the link can still be used. Uses nothing up."""
    found = await db.find_token(deps.pool, purpose=purpose, token_hash=_hash(token), now=deps.now())
    if found is None or (purpose == SETUP and await db.has_admin(deps.pool)):
        raise _gone()


async def reset_password(deps: Deps, token: str, new_password: str, address: str) -> User:
    """Set a new password by a link; every older token of the user's ends. Raises NotFound, InvalidInput."""
    found = await db.find_token(
        deps.pool, purpose=PASSWORD_RESET, token_hash=_hash(token), now=deps.now()
    )
    user = await _user_of(deps.pool, found)
    check_new_password(new_password, user.username, "new_password")
    hashed = await deps.passwords.hash(new_password)
    async with deps.pool.acquire() as connection, connection.transaction():
        await _use(deps, connection, PASSWORD_RESET, token)
        changed = await db.set_password(connection, user.id, hashed)
        await audit.record(connection, "auth.password_reset", user_id=user.id, address=address)
    if changed is None:
        raise _gone()
    return changed


async def confirm_email(deps: Deps, token: str, address: str) -> User:
    """Make the address that a link was mailed to the user's own.

    Raises NotFound for a link that is used up, or whose address the user has since changed; Conflict when the address
    has become somebody else's.
    """
    async with deps.pool.acquire() as connection, connection.transaction():
        found = await _use(deps, connection, EMAIL_CONFIRM, token)
        user = await _user_of(connection, found)
        email = str(found.data["email"])
        if user.pending_email is None or user.pending_email.lower() != email.lower():
            raise _gone()
        if not await db.confirm_email(connection, user.id, email, deps.now()):
            raise Conflict("This e-mail address belongs to another account", code="email_taken")
        await audit.record(connection, "auth.email_confirmed", user_id=user.id, address=address)
        return await _user_of(connection, found)


async def ensure_setup_link(deps: Deps) -> str | None:
    """Give a link that makes the first administrator, or None when there is one."""
    if await db.has_admin(deps.pool):
        return None
    async with deps.pool.acquire() as connection, connection.transaction():
        token = await _new_token(deps, connection, None, SETUP, {}, LIFETIMES[SETUP])
    return link(deps, SETUP, token)


async def set_up(
    deps: Deps, token: str, *, username: str, password: str, email: str, address: str
) -> User:
    """Make the first administrator by a link. Raises NotFound once there is one, InvalidInput, Conflict."""
    await ensure_usable(deps, SETUP, token)
    username = check_username(username)
    check_new_password(password, username)
    new = db.NewUser(
        username=username,
        password_hash=await deps.passwords.hash(password),
        role="admin",
        email=check_email(email) if email else None,
    )
    async with deps.pool.acquire() as connection, connection.transaction():
        await db.lock_setup(connection)
        if await db.has_admin(connection):
            raise _gone()
        await _use(deps, connection, SETUP, token)
        user = await db.insert_user(connection, new)
        if user is None:
            raise Conflict("This user name is taken", code="username_taken")
        await db.drop_tokens(connection, user_id=None, purpose=SETUP)
        await audit.record(connection, "auth.set_up", user_id=user.id, address=address)
    return user


async def _mail_link(
    deps: Deps,
    connection: Connection,
    user: User,
    purpose: str,
    recipient: str,
    data: dict[str, str],
    *,
    template: str | None = None,
    lifetime: timedelta | None = None,
) -> None:
    lifetime = lifetime or LIFETIMES[purpose]
    await db.drop_tokens(connection, user_id=user.id, purpose=purpose)
    token = await _new_token(deps, connection, user.id, purpose, data, lifetime)
    await send_mail(
        connection,
        user_id=user.id,
        recipient=recipient,
        template=template or purpose,
        data={"username": user.username, "valid_for": _in_words(lifetime)},
        secret_data={"link": link(deps, purpose, token)},
        dedup_key=f"{purpose}:{_hash(token).hex()}",
        vault=deps.vault,
        now=deps.now(),
    )


def _in_words(lifetime: timedelta) -> str:
    hours = round(lifetime.total_seconds() / 3600)
    number, unit = (hours // 24, "day") if hours >= 24 else (hours, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"


async def _new_token(
    deps: Deps,
    connection: Connection,
    user_id: int | None,
    purpose: str,
    data: dict[str, str],
    lifetime: timedelta,
) -> str:
    token = secrets.token_urlsafe(32)
    await db.insert_token(
        connection,
        user_id=user_id,
        purpose=purpose,
        token_hash=_hash(token),
        data=data,
        expires_at=deps.now() + lifetime,
    )
    return token


async def _use(deps: Deps, connection: Connection, purpose: str, token: str) -> OneTimeToken:
    found = await db.use_token(connection, purpose=purpose, token_hash=_hash(token), now=deps.now())
    if found is None:
        raise _gone()
    return found


async def _user_of(executor: Executor, found: OneTimeToken | None) -> User:
    user = None
    if found is not None and found.user_id is not None:
        user = await db.find_user(executor, found.user_id)
    if user is None or not user.is_active:
        raise _gone()
    return user


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _gone() -> NotFound:
    return NotFound(
        "This link was used, has expired, or never was",
        code="link_gone",
        action="Ask for a new one.",
    )
