"""What administrators do with accounts: find them, make them, say who may sign in and who administers."""

import secrets
from dataclasses import replace
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.core.accounts import check_email, check_new_password, check_username, clean_line
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.models import User
from app.db import accounts as db
from app.db.accounts import ListedUser, UserFilter
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once
from app.usecases.one_time import invite, mail_password_reset

Role = Literal["user", "admin"]


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that an administrator makes. Without a password, its owner is mailed a link to choose one."""

    username: str
    email: str | None = None
    password: str | None = None
    role: Role = "user"
    full_name: str | None = None
    institution: str | None = None
    country: str | None = None


class StandingChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator changes about an account; absent fields stay."""

    role: Role | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


async def list_users(
    deps: Deps, wanted: UserFilter, *, limit: int, offset: int
) -> tuple[list[ListedUser], int]:
    """Give a page of accounts, by name, and the number of all."""
    return await db.list_users(deps.pool, wanted, limit=limit, offset=offset)


async def get_user(deps: Deps, user_id: int) -> ListedUser:
    """Give an account with its number of jobs. Raises NotFound."""
    user = await db.find_user(deps.pool, user_id)
    if user is None:
        raise _unknown()
    return ListedUser(user, await db.count_user_jobs(deps.pool, user_id))


async def add_user(deps: Deps, actor: Actor, given: NewAccount, once: Once | None = None) -> User:
    """Make an account. The address counts as confirmed on the administrator's word. Raises InvalidInput, Conflict."""
    username = check_username(given.username)
    email = check_email(given.email) if given.email else None
    if given.password:
        check_new_password(given.password, username)
    elif email is None:
        message = "is needed where no password is given: a link to choose one is sent there"
        raise InvalidInput(f"The e-mail address {message}", errors=[FieldError("email", message)])
    new = db.NewUser(
        username=username,
        # What nobody knows fits nothing that is typed.
        password_hash=await deps.passwords.hash(given.password or secrets.token_urlsafe(32)),
        role=given.role,
        email=email,
        full_name=clean_line(given.full_name, "full_name"),
        institution=clean_line(given.institution, "institution"),
        country=clean_line(given.country, "country"),
    )
    async with deps.pool.acquire() as connection, connection.transaction():
        if email is not None and await db.find_user_by_email(connection, email) is not None:
            raise Conflict(
                "This e-mail address belongs to another account",
                code="email_taken",
                errors=[FieldError("email", "belongs to another account")],
            )
        user = await db.insert_user(connection, new)
        if user is None:
            raise Conflict(
                "This user name is taken",
                code="username_taken",
                action="Choose another one.",
                errors=[FieldError("username", "is taken")],
            )
        if not given.password:
            await invite(deps, connection, user)
        await audit.record(
            connection,
            "user.created",
            actor=actor,
            resource_type="user",
            resource_id=user.id,
            details={"username": user.username, "role": user.role, "invited": not given.password},
        )
        if once is not None:
            await once.remember(connection, user)
    return user


async def change_standing(
    deps: Deps, actor: Actor, user_id: int, change: StandingChange
) -> ListedUser:
    """Say whether somebody may sign in, or administers. Every token of theirs ends with a change.

    Raises NotFound; Conflict for one's own account, and for the last administrator.
    """
    async with deps.pool.acquire() as connection, connection.transaction():
        await db.lock_setup(connection)  # two administrators must not remove each other at once
        old = await db.lock_user(connection, user_id)
        if old is None:
            raise _unknown()
        role = old.role if change.role is UNSET else change.role
        is_active = old.is_active if change.is_active is UNSET else bool(change.is_active)
        new = replace(old, role=str(role), is_active=is_active)
        if (new.role, new.is_active) == (old.role, old.is_active):
            return ListedUser(old, await db.count_user_jobs(connection, user_id))
        if user_id == actor.id:
            raise Conflict(
                "You can neither disable your own account nor change its role",
                code="own_account",
                action="Ask another administrator.",
            )
        loses = old.is_admin and old.is_active and not (new.is_admin and new.is_active)
        if loses and await db.count_other_admins(connection, user_id) == 0:
            raise Conflict(
                "The last administrator must stay",
                code="last_admin",
                action="Make somebody else an administrator first.",
            )
        changed = await db.set_standing(connection, user_id, role=new.role, is_active=new.is_active)
        await audit.record(
            connection,
            "user.standing_changed",
            actor=actor,
            resource_type="user",
            resource_id=user_id,
            details={"username": old.username, "role": new.role, "is_active": new.is_active},
        )
        return ListedUser(changed or new, await db.count_user_jobs(connection, user_id))


async def send_reset_link(deps: Deps, actor: Actor, user_id: int) -> User:
    """Mail somebody a link to choose a new password. Raises NotFound; Conflict where there is no way to send one."""
    user = (await get_user(deps, user_id)).user
    if user.email is None or not user.is_active:
        raise Conflict(
            "This account has no confirmed e-mail address, or is disabled",
            code="cannot_be_mailed",
            action="Enable it, and let its owner confirm an address first.",
        )
    async with deps.pool.acquire() as connection, connection.transaction():
        # By account and not by name: a name may look like somebody else's address.
        await mail_password_reset(deps, connection, user)
        await audit.record(
            connection,
            "user.reset_link_sent",
            actor=actor,
            resource_type="user",
            resource_id=user.id,
            details={"username": user.username},
        )
    return user


def _unknown() -> NotFound:
    return NotFound("There is no such user")
