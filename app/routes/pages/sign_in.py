"""Signing in and out at a browser."""

import msgspec
from aiohttp import web

from app.core.errors import AppError
from app.usecases import accounts
from app.web import session
from app.web.endpoint import Access, Call, Endpoint
from app.web.pages import HOME, SIGN_IN, Form, action, page, render, safe_next, see_other
from app.web.problem import status_of


class SignInForm(msgspec.Struct, frozen=True, kw_only=True):
    username: str
    password: str


class SignInQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`next`: the page to go on to; `ended`: a sign-in has just ended."""

    next: str | None = None
    ended: str | None = None


async def show(call: Call) -> web.Response:
    query: SignInQuery = call.query
    goal = safe_next(query.next)
    if call.maybe_actor is not None:
        return see_other(goal)
    return await render(
        call, "pages/sign_in.html", form=Form(), next=goal, ended=query.ended is not None
    )


async def sign_in(call: Call) -> web.Response:
    form = Form(call.fields)
    goal = safe_next(form.value("next"))
    try:
        given = form.read(SignInForm)
        signed_in = await accounts.login(call.deps, given.username, given.password, call.address)
    except AppError as error:
        return await render(
            call,
            "pages/sign_in.html",
            status=status_of(error),
            form=form.refuse(error),
            next=goal,
            ended=False,
        )
    response = see_other(goal)
    session.remember(response, call.deps.settings, signed_in)
    return response


async def sign_out(call: Call) -> web.Response:
    if call.maybe_actor is not None:
        await accounts.logout(call.deps, call.maybe_actor)
    response = see_other(HOME, done="signed-out")
    session.forget(response, call.deps.settings)
    return response


PAGES: tuple[Endpoint, ...] = (
    page(SIGN_IN, show, "sign_in", "Sign in", access=Access.PUBLIC, query=SignInQuery),
    action(SIGN_IN, sign_in, "sign_in_post", "Sign in", access=Access.PUBLIC),
    action("/ui/sign-out", sign_out, "sign_out", "Sign out everywhere", access=Access.PUBLIC),
)
