"""The own account; and for administrators, everybody's."""

from datetime import datetime
from typing import Annotated

import msgspec

from app.core.models import User
from app.db.accounts import ListedUser, UserFilter
from app.routes.api.auth import MessageOut, UserOut
from app.usecases import accounts, users
from app.usecases.accounts import ProfileChange
from app.usecases.users import NewAccount, Role, StandingChange
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_ONE = f"/users/{{id:{INT}}}"


class AccountOut(msgspec.Struct, frozen=True, kw_only=True):
    """An account as administrators see it. `jobs` counts all it has."""

    id: int
    username: str
    email: str | None
    pending_email: str | None
    full_name: str | None
    institution: str | None
    country: str | None
    role: str
    is_active: bool
    created_at: datetime
    last_login: datetime | None
    jobs: int

    @classmethod
    def of(cls, listed: ListedUser) -> "AccountOut":
        user = listed.user
        names = [name for name in cls.__struct_fields__ if hasattr(user, name)]
        own = {name: getattr(user, name) for name in names}
        return cls(**own, last_login=user.last_login_at, jobs=listed.jobs)

    @classmethod
    def of_new(cls, user: User) -> "AccountOut":
        return cls.of(ListedUser(user, 0))


class UsersQuery(Paging, frozen=True, kw_only=True):
    """`q` is a part of name, address or institution."""

    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    role: Role | None = None
    is_active: bool | None = None


async def list_all(call: Call) -> Page:
    query: UsersQuery = call.query
    found, total = await users.list_users(
        call.deps,
        UserFilter(query.q, query.role, query.is_active),
        limit=query.limit,
        offset=query.offset,
    )
    return Page([AccountOut.of(item) for item in found], total)


async def add(call: Call) -> AccountOut:
    given: NewAccount = call.body
    once = call.once(AccountOut.of_new)
    return AccountOut.of_new(await users.add_user(call.deps, call.actor, given, once))


async def get(call: Call) -> AccountOut:
    return AccountOut.of(await users.get_user(call.deps, call.path_int("id")))


async def change(call: Call) -> AccountOut:
    given: StandingChange = call.body
    return AccountOut.of(
        await users.change_standing(call.deps, call.actor, call.path_int("id"), given)
    )


async def send_reset_link(call: Call) -> MessageOut:
    await users.send_reset_link(call.deps, call.actor, call.path_int("id"))
    return MessageOut("A link to choose a new password was sent")


async def get_me(call: Call) -> UserOut:
    return UserOut.of(call.actor.user)


async def change_me(call: Call) -> UserOut:
    change: ProfileChange = call.body
    return UserOut.of(await accounts.update_profile(call.deps, call.actor, change))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/users/me", get_me, "users.get_me", "The own account", response=UserOut, tag="users"
    ),
    Endpoint(
        "PATCH",
        "/users/me",
        change_me,
        "users.change_me",
        "Change name, institution, country, e-mail address, or what one is told of",
        body=ProfileChange,
        response=UserOut,
        tag="users",
        per_minute=30,
    ),
    Endpoint(
        "GET",
        "/users",
        list_all,
        "users.list",
        "All accounts, by name",
        access=Access.ADMIN,
        query=UsersQuery,
        response=list[AccountOut],
        tag="users",
    ),
    Endpoint(
        "POST",
        "/users",
        add,
        "users.add",
        "Make an account; without a password its owner is mailed a link to choose one",
        access=Access.ADMIN,
        body=NewAccount,
        response=AccountOut,
        status=201,
        creates=True,
        tag="users",
    ),
    Endpoint(
        "GET",
        _ONE,
        get,
        "users.get",
        "An account",
        access=Access.ADMIN,
        response=AccountOut,
        tag="users",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        change,
        "users.change",
        "Disable or enable an account, change its role; every token of it ends",
        access=Access.ADMIN,
        body=StandingChange,
        response=AccountOut,
        tag="users",
    ),
    Endpoint(
        "POST",
        f"{_ONE}/password-reset",
        send_reset_link,
        "users.send_reset_link",
        "Mail somebody a link to choose a new password",
        access=Access.ADMIN,
        response=MessageOut,
        tag="users",
        per_minute=30,
    ),
)
