"""Users and one-time tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.core.models import User, build
from app.db.queries import Connection, Executor, containing, load

_sql = load("accounts")


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """What a one-time token is for. `user_id` is None for the one that makes the first administrator."""

    id: int
    user_id: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be made. `email` counts as confirmed; `pending_email` becomes it by a link."""

    username: str
    password_hash: str
    role: str = "user"
    email: str | None = None
    pending_email: str | None = None
    full_name: str | None = None
    institution: str | None = None
    country: str | None = None


def _user(row: asyncpg.Record | None) -> User | None:
    return build(User, row) if row is not None else None


async def find_user(db: Executor, user_id: int) -> User | None:
    """Give a user by id."""
    return _user(await _sql.find_user.row(db, user_id=user_id))


async def lock_user(connection: Connection, user_id: int) -> User | None:
    """Give a user whom no other transaction changes until this one ends."""
    return _user(await _sql.lock_user.row(connection, user_id=user_id))


async def find_user_by_username(db: Executor, username: str) -> User | None:
    """Give a user by name, whatever its case."""
    return _user(await _sql.find_user_by_username.row(db, username=username))


async def find_user_by_email(db: Executor, email: str) -> User | None:
    """Give a user by confirmed address, whatever its case."""
    return _user(await _sql.find_user_by_email.row(db, email=email))


async def insert_user(db: Executor, new: NewUser) -> User | None:
    """Make an account; None when the name is taken. Raises asyncpg.UniqueViolationError when `email` is."""
    row = await _sql.insert_user.row(
        db,
        username=new.username,
        email=new.email,
        pending_email=new.pending_email,
        full_name=new.full_name,
        institution=new.institution,
        country=new.country,
        role=new.role,
        password_hash=new.password_hash,
    )
    return _user(row)


async def update_profile(db: Executor, user: User) -> User | None:
    """Write what users may change about themselves."""
    row = await _sql.update_profile.row(
        db,
        user_id=user.id,
        full_name=user.full_name,
        institution=user.institution,
        country=user.country,
        pending_email=user.pending_email,
        notification_preferences=user.notification_preferences,
    )
    return _user(row)


async def note_login(db: Executor, user_id: int, now: datetime) -> None:
    """Remember when somebody signed in last."""
    await _sql.note_login.run(db, user_id=user_id, now=now)


async def set_password(db: Executor, user_id: int, password_hash: str) -> User | None:
    """Write a new password; every older token ends with it."""
    return _user(await _sql.set_password.row(db, user_id=user_id, password_hash=password_hash))


async def end_tokens(db: Executor, user_id: int) -> None:
    """End every token that a user has."""
    await _sql.end_tokens.run(db, user_id=user_id)


async def confirm_email(connection: Connection, user_id: int, email: str, now: datetime) -> bool:
    """Make the waiting address the user's own; False when it is another by now, or somebody else's."""
    try:
        async with connection.transaction():
            row = await _sql.confirm_email.row(connection, user_id=user_id, email=email, now=now)
    except asyncpg.UniqueViolationError:
        return False
    return row is not None


async def has_admin(db: Executor) -> bool:
    """Tell whether anybody can administer the platform."""
    return bool(await _sql.has_admin.value(db))


async def lock_setup(connection: Connection) -> None:
    """Let one transaction at a time make the first administrator."""
    await _sql.lock_setup.value(connection)


async def insert_token(
    db: Executor,
    *,
    user_id: int | None,
    purpose: str,
    token_hash: bytes,
    data: dict[str, Any],
    expires_at: datetime,
) -> int:
    """Keep the hash of a one-time token; give its id."""
    token_id: int = await _sql.insert_token.value(
        db,
        user_id=user_id,
        purpose=purpose,
        token_hash=token_hash,
        data=data,
        expires_at=expires_at,
    )
    return token_id


async def find_token(
    db: Executor, *, purpose: str, token_hash: bytes, now: datetime
) -> OneTimeToken | None:
    """Give a one-time token that can still be used."""
    row = await _sql.find_token.row(db, purpose=purpose, token_hash=token_hash, now=now)
    return build(OneTimeToken, row) if row is not None else None


async def use_token(
    db: Executor, *, purpose: str, token_hash: bytes, now: datetime
) -> OneTimeToken | None:
    """Use a one-time token up; None when it was used, has expired, or never was."""
    row = await _sql.use_token.row(db, purpose=purpose, token_hash=token_hash, now=now)
    return build(OneTimeToken, row) if row is not None else None


async def drop_tokens(db: Executor, *, user_id: int | None, purpose: str) -> None:
    """Make the tokens of a purpose useless that a user has."""
    await _sql.drop_tokens.run(db, user_id=user_id, purpose=purpose)


@dataclass(frozen=True, slots=True)
class ListedUser:
    """An account in a list, with how many jobs it has."""

    user: User
    jobs: int


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which accounts are meant; None means all. `text` is a part of name, address or institution."""

    text: str | None = None
    role: str | None = None
    is_active: bool | None = None


async def list_users(
    db: Executor, wanted: UserFilter, *, limit: int, offset: int
) -> tuple[list[ListedUser], int]:
    """Give a page of accounts, by name, and the number of all."""
    values: dict[str, Any] = {
        "pattern": None if wanted.text is None else containing(wanted.text),
        "role": wanted.role,
        "is_active": wanted.is_active,
    }
    rows = await _sql.list_users.rows(db, **values, limit=limit, offset=offset)
    total = await _sql.count_users.value(db, **values)
    return [ListedUser(build(User, row), int(row["jobs"])) for row in rows], int(total)


async def count_user_jobs(db: Executor, user_id: int) -> int:
    """Give how many jobs a user has."""
    return int(await _sql.count_user_jobs.value(db, user_id=user_id))


async def count_other_admins(db: Executor, user_id: int) -> int:
    """Give how many others can administer the platform."""
    return int(await _sql.count_other_admins.value(db, user_id=user_id))


async def set_standing(db: Executor, user_id: int, *, role: str, is_active: bool) -> User | None:
    """Write what administrators decide about an account; a change ends every token of it."""
    row = await _sql.set_standing.row(db, user_id=user_id, role=role, is_active=is_active)
    return _user(row)
