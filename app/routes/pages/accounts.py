"""Accounts and their one-time links: registering, a new password, confirming an address, the first administrator.

A link of a mail shows a form; only sending that form uses it up, because scanners of mail follow links.
"""

import msgspec
from aiohttp import web

from app.core.errors import AppError, NotFound
from app.core.models import User
from app.usecases import accounts, one_time
from app.usecases.accounts import Registration
from app.web import session
from app.web.endpoint import Access, Call, Endpoint
from app.web.pages import HOME, SIGN_IN, Form, action, page, render, see_other
from app.web.problem import status_of

_LINK = r"{token:[A-Za-z0-9_-]{20,100}}"
RESET = "/ui/password-reset"


class ResetForm(msgspec.Struct, frozen=True, kw_only=True):
    username: str


class NewPasswordForm(msgspec.Struct, frozen=True, kw_only=True):
    new_password: str


class SetupForm(msgspec.Struct, frozen=True, kw_only=True):
    username: str
    password: str
    email: str = ""


async def show_register(call: Call) -> web.Response:
    if call.maybe_actor is not None:
        return see_other(HOME)
    return await render(call, "pages/register.html", form=Form())


async def register(call: Call) -> web.Response:
    form = Form(call.fields)
    try:
        user = await accounts.register(call.deps, form.read(Registration), call.address)
    except AppError as error:
        return await _refused(call, "pages/register.html", form, error)
    return _signed_in(call, user, HOME, "registered")


async def show_reset(call: Call) -> web.Response:
    return await render(call, "pages/password_reset.html", form=Form(), is_sent=False)


async def ask_for_reset(call: Call) -> web.Response:
    """Send a link, if there is such an account; the answer is the same if there is none."""
    form = Form(call.fields)
    try:
        given = form.read(ResetForm)
        await one_time.request_password_reset(call.deps, given.username, call.address)
    except AppError as error:
        return await _refused(call, "pages/password_reset.html", form, error, is_sent=False)
    return await render(call, "pages/password_reset.html", form=form, is_sent=True)


async def show_new_password(call: Call) -> web.Response:
    await one_time.ensure_usable(call.deps, one_time.PASSWORD_RESET, call.path_text("token"))
    return await render(call, "pages/new_password.html", form=Form())


async def set_new_password(call: Call) -> web.Response:
    form = Form(call.fields)
    try:
        given = form.read(NewPasswordForm)
        user = await one_time.reset_password(
            call.deps, call.path_text("token"), given.new_password, call.address
        )
    except NotFound:
        raise
    except AppError as error:
        return await _refused(call, "pages/new_password.html", form, error)
    return _signed_in(call, user, HOME, "password-changed")


async def show_confirmation(call: Call) -> web.Response:
    await one_time.ensure_usable(call.deps, one_time.EMAIL_CONFIRM, call.path_text("token"))
    return await render(call, "pages/confirm_email.html")


async def confirm_email(call: Call) -> web.Response:
    await one_time.confirm_email(call.deps, call.path_text("token"), call.address)
    return see_other(HOME if call.maybe_actor is not None else SIGN_IN, "email-confirmed")


async def show_setup(call: Call) -> web.Response:
    await one_time.ensure_usable(call.deps, one_time.SETUP, call.path_text("token"))
    return await render(call, "pages/setup.html", form=Form())


async def set_up(call: Call) -> web.Response:
    form = Form(call.fields)
    try:
        given = form.read(SetupForm)
        user = await one_time.set_up(
            call.deps,
            call.path_text("token"),
            username=given.username,
            password=given.password,
            email=given.email,
            address=call.address,
        )
    except NotFound:
        raise
    except AppError as error:
        return await _refused(call, "pages/setup.html", form, error)
    return _signed_in(call, user, "/ui/admin/services/new", None)


def _signed_in(call: Call, user: User, path: str, done: str | None) -> web.Response:
    response = see_other(path, done)
    session.remember(response, call.deps.settings, accounts.issue(call.deps, user))
    return response


async def _refused(
    call: Call, template: str, form: Form, error: AppError, **context: bool
) -> web.Response:
    shown = form.refuse(error)
    return await render(
        call, template, status=status_of(error), form=shown, headers=None, **context
    )


_OPEN = Access.PUBLIC
PAGES: tuple[Endpoint, ...] = (
    page("/ui/register", show_register, "register", "Make an account", access=_OPEN),
    action(
        "/ui/register", register, "register_post", "Make an account", access=_OPEN, per_minute=5
    ),
    page(RESET, show_reset, "password_reset", "Ask for a new password", access=_OPEN),
    action(
        RESET, ask_for_reset, "password_reset_post", "Send the link", access=_OPEN, per_minute=5
    ),
    page(f"{RESET}/{_LINK}", show_new_password, "new_password", "Choose a password", access=_OPEN),
    action(
        f"{RESET}/{_LINK}",
        set_new_password,
        "new_password_post",
        "Set the password",
        access=_OPEN,
        per_minute=30,
    ),
    page(
        f"/ui/confirm-email/{_LINK}",
        show_confirmation,
        "confirm_email",
        "Whether an address is one's own",
        access=_OPEN,
    ),
    action(
        f"/ui/confirm-email/{_LINK}",
        confirm_email,
        "confirm_email_post",
        "Confirm an address",
        access=_OPEN,
        per_minute=30,
    ),
    page(f"/ui/setup/{_LINK}", show_setup, "setup", "Make the first administrator", access=_OPEN),
    action(
        f"/ui/setup/{_LINK}",
        set_up,
        "setup_post",
        "Make the first administrator",
        access=_OPEN,
        per_minute=30,
    ),
)
