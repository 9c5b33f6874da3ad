"""Accounts, for administrators: find, make, disable, change roles."""

from typing import Annotated

import msgspec
from aiohttp import web

from app.core.errors import AppError, Conflict
from app.db.accounts import UserFilter
from app.usecases import audit, users
from app.usecases.users import NewAccount, StandingChange
from app.web.endpoint import INT, Access, Call, Endpoint, Paging
from app.web.pages import Form, action, page, render, see_other
from app.web.problem import status_of

LIST = "/ui/admin/users"
_ONE = f"{LIST}/{{id:{INT}}}"
_RECENT = 20
_CHANGES = {
    "disable": StandingChange(is_active=False),
    "enable": StandingChange(is_active=True),
    "make-admin": StandingChange(role="admin"),
    "make-user": StandingChange(role="user"),
}
"""What can be done with an account: the last part of the address."""
_ANY_CHANGE = f"{_ONE}/{{change:{'|'.join(_CHANGES)}}}"


class UsersQuery(Paging, frozen=True, kw_only=True):
    """`show` keeps administrators, or those that are disabled."""

    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    show: Annotated[str, msgspec.Meta(max_length=20)] | None = None

    def filter(self) -> UserFilter:
        """Give which accounts are meant."""
        return UserFilter(
            self.q,
            role="admin" if self.show == "admins" else None,
            is_active=False if self.show == "disabled" else None,
        )


async def show_list(call: Call) -> web.Response:
    query: UsersQuery = call.query
    found, total = await users.list_users(
        call.deps, query.filter(), limit=query.limit, offset=query.offset
    )
    return await render(call, "pages/users.html", found=found, total=total, query=query)


async def show_new(call: Call) -> web.Response:
    return await render(call, "pages/user_new.html", form=Form(defaults={"role": "user"}))


async def add(call: Call) -> web.Response:
    form = Form(call.fields)
    try:
        given = form.read(NewAccount)
        user = await users.add_user(call.deps, call.actor, given)
    except AppError as error:
        shown = form.refuse(error)
        return await render(call, "pages/user_new.html", status=status_of(error), form=shown)
    return see_other(f"{LIST}/{user.id}", "user-added" if given.password else "user-invited")


async def show(call: Call) -> web.Response:
    return await _show(call)


async def _show(call: Call, refusal: AppError | None = None) -> web.Response:
    listed = await users.get_user(call.deps, call.path_int("id"))
    entries, _ = await audit.list_all(
        call.deps, user_id=listed.user.id, action=None, limit=_RECENT, offset=0
    )
    return await render(
        call,
        "pages/user.html",
        status=200 if refusal is None else status_of(refusal),
        person=listed.user,
        jobs=listed.jobs,
        entries=entries,
        refusal=refusal,
    )


async def ask_to_change(call: Call) -> web.Response:
    listed = await users.get_user(call.deps, call.path_int("id"))
    change = call.path_text("change")
    return await render(call, "pages/user_change.html", person=listed.user, change=change)


async def change(call: Call) -> web.Response:
    wanted = _CHANGES[call.path_text("change")]
    try:
        await users.change_standing(call.deps, call.actor, call.path_int("id"), wanted)
    except Conflict as error:
        return await _show(call, error)
    return see_other(f"{LIST}/{call.path_int('id')}", "user-changed")


async def send_link(call: Call) -> web.Response:
    try:
        await users.send_reset_link(call.deps, call.actor, call.path_int("id"))
    except Conflict as error:
        return await _show(call, error)
    return see_other(f"{LIST}/{call.path_int('id')}", "link-sent")


_ADMIN = Access.ADMIN
PAGES: tuple[Endpoint, ...] = (
    page(LIST, show_list, "users", "All accounts", access=_ADMIN, query=UsersQuery),
    page(f"{LIST}/new", show_new, "user_new", "Make an account", access=_ADMIN),
    action(f"{LIST}/new", add, "user_add", "Make an account", access=_ADMIN),
    page(_ONE, show, "user", "One account", access=_ADMIN),
    page(_ANY_CHANGE, ask_to_change, "user_change", "Whether to change an account", access=_ADMIN),
    action(_ANY_CHANGE, change, "user_change_post", "Change an account", access=_ADMIN),
    action(
        f"{_ONE}/password-link",
        send_link,
        "user_password_link",
        "Mail a link to choose a password",
        access=_ADMIN,
        per_minute=30,
    ),
)
