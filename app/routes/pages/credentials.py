"""The own credentials for services: seen, added, tested, replaced, deleted. No page ever shows a secret."""

from typing import Any

import msgspec
from aiohttp import web

from app.core.addresses import origin_of
from app.core.errors import AppError, InvalidInput, NotFound
from app.core.guides import guide_for
from app.core.models import Service
from app.usecases import own_credentials as usecase
from app.usecases.catalogue import get_service
from app.usecases.own_credentials import GivenCredential, Held
from app.usecases.standing import ENDS_SOON, Standing, find_standing, list_standings
from app.usecases.syncing import read_beside
from app.web.endpoint import INT, Call, Endpoint
from app.web.pages import (
    Form,
    action,
    is_fragment,
    page,
    refusal_status,
    render,
    safe_next,
    see_other,
)
from app.web.problem import status_of

LIST = "/ui/settings/service-credentials"
_ONE = f"{LIST}/{{id:{INT}}}"
_WORD = "credential-word"
"""The part of the form that tells what the service thinks."""


class NewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """For which service; where to go on afterwards."""

    service: int | None = None
    next: str | None = None


class SecretForm(msgspec.Struct, frozen=True, kw_only=True):
    """What is typed into the form of a credential. Empty secrets are absent."""

    label: str = ""
    api_token: str | None = None
    username: str | None = None
    password: str | None = None

    def given(self, kind: str) -> GivenCredential:
        """Give what the kind of credential is made of; an empty field is told as such and not as a missing one."""
        if kind == "token":
            return GivenCredential(api_token=self.api_token or "")
        return GivenCredential(username=self.username or "", password=self.password or "")


class ChangeForm(SecretForm, frozen=True, kw_only=True):
    is_active: bool = False


async def show_list(call: Call) -> web.Response:
    return await render(
        call,
        "pages/credentials.html",
        standings=await list_standings(call.deps, call.actor),
        ends_soon=ENDS_SOON,
        origin_of=origin_of,
    )


async def show_new(call: Call) -> web.Response:
    query: NewQuery = call.query
    if query.service is None or not 0 < query.service < 2**63:
        return see_other(LIST)
    service = await get_service(call.deps, query.service)
    standing = await find_standing(call.deps, call.actor, service)
    label = standing.held.stored.label if standing is not None and standing.held else ""
    return await _show_new(
        call, service, Form(defaults={"label": label}), safe_next(query.next, LIST)
    )


async def add(call: Call) -> web.Response:
    """Test what was typed, or store it and let the service say what it thinks of it."""
    form = Form(call.fields)
    number = form.value("service")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise NotFound("There is no such service")
    service = await get_service(call.deps, int(number))
    goal = safe_next(form.value("next"), LIST)
    try:
        given = form.read(SecretForm)
        secret = given.given(service.credential_kind)
        if form.value("do") == "test":
            return await _test(call, service, form, goal, secret)
        held = await usecase.store_credential(
            call.deps, call.actor, service.id, secret, given.label
        )
    except AppError as error:
        status = refusal_status(call.request, error)
        return await _show_new(call, service, form.refuse(error), goal, status=status)
    return await _tell_stored(call, held, goal)


async def _test(
    call: Call, service: Service, form: Form, goal: str, secret: GivenCredential
) -> web.Response:
    verified, warnings = await usecase.test_credential(call.deps, call.actor, service.id, secret)
    return await _show_new(
        call, service, form, goal, report=verified.report, warnings=warnings, typed=secret
    )


async def _show_new(
    call: Call, service: Service, form: Form, goal: str, *, status: int = 200, **told: Any
) -> web.Response:
    context: dict[str, Any] = {"report": None, "warnings": (), "typed": None, **told}
    is_part = is_fragment(call.request)
    template = "_partials/credential_form.html" if is_part else "pages/credential_new.html"
    if is_part and call.request.headers.get("HX-Target") == _WORD:
        template = "_partials/credential_word.html"  # what was typed stays in the browser
    return await render(
        call,
        template,
        status=status,
        is_part=is_part,
        service=service,
        guide=guide_for(service),
        form=form,
        next=goal,
        standing=await find_standing(call.deps, call.actor, service),
        **context,
    )


async def _tell_stored(call: Call, held: Held, goal: str) -> web.Response:
    """Ask the service about what was stored; whatever it says, the credential stays."""
    report, trouble = None, None
    try:
        verified = await usecase.verify_credential(call.deps, call.actor, held.stored.id)
        report = verified.report
        if report.valid:
            await read_beside(call.deps, call.actor, held.service.id)
    except AppError as error:
        trouble = error
    is_part = is_fragment(call.request)
    if not is_part and report is not None and report.valid:
        return see_other(goal, "credential-saved")
    return await render(
        call,
        "_partials/credential_stored.html" if is_part else "pages/credential_stored.html",
        headers={"HX-Trigger": "credential-saved"},
        held=held,
        report=report,
        trouble=trouble,
        next=goal,
    )


async def show_one(call: Call) -> web.Response:
    standing = await _standing(call)
    held = standing.held
    assert held is not None  # noqa: S101 - _standing raises otherwise
    form = Form(defaults={"label": held.stored.label, "is_active": held.stored.is_active})
    return await _show_one(call, standing, form)


async def _show_one(
    call: Call, standing: Standing, form: Form, *, status: int = 200
) -> web.Response:
    return await render(
        call,
        "pages/credential.html",
        status=status,
        standing=standing,
        service=standing.service,
        guide=guide_for(standing.service),
        form=form,
        origin_of=origin_of,
    )


async def change(call: Call) -> web.Response:
    standing = await _standing(call)
    form = Form(call.fields)
    try:
        given = form.read(ChangeForm)
        secret = GivenCredential()
        if given.api_token or given.password or given.username:
            secret = given.given(standing.service.credential_kind)
        await usecase.change_credential(
            call.deps,
            call.actor,
            call.path_int("id"),
            given=secret,
            label=given.label,
            is_active=given.is_active,
        )
    except AppError as error:
        return await _show_one(call, standing, form.refuse(error), status=status_of(error))
    if not secret.is_empty:
        await _ask(call)
    return see_other(f"{LIST}#service-{standing.service.id}", None)


async def confirm(call: Call) -> web.Response:
    """Let a credential be sent to where its service is now. The form names the address that its user has seen."""
    form = Form(call.fields)
    await usecase.change_credential(
        call.deps,
        call.actor,
        call.path_int("id"),
        given=GivenCredential(),
        confirm_origin=form.value("origin"),
    )
    return see_other(LIST, "saved")


async def verify(call: Call) -> web.Response:
    """Ask the service about a stored credential; give its card, or the list."""
    trouble = await _ask(call)
    if not is_fragment(call.request):
        return see_other(LIST, "credential-tested")
    return await render(
        call,
        "_partials/credential_card.html",
        standing=await _standing(call),
        ends_soon=ENDS_SOON,
        origin_of=origin_of,
        trouble=trouble,
        is_fresh=True,
    )


async def _ask(call: Call) -> InvalidInput | AppError | None:
    try:
        verified = await usecase.verify_credential(call.deps, call.actor, call.path_int("id"))
    except NotFound:
        raise
    except AppError as error:
        return error
    if verified.report.valid and verified.held is not None:
        await read_beside(call.deps, call.actor, verified.held.service.id)
    return None


async def ask_to_delete(call: Call) -> web.Response:
    return await render(call, "pages/credential_delete.html", standing=await _standing(call))


async def delete(call: Call) -> web.Response:
    await usecase.delete_credential(call.deps, call.actor, call.path_int("id"))
    return see_other(LIST, "credential-deleted")


async def _standing(call: Call) -> Standing:
    """Give the credential that the path names. Raises NotFound."""
    wanted = call.path_int("id")
    for standing in await list_standings(call.deps, call.actor):
        if standing.held is not None and standing.held.stored.id == wanted:
            return standing
    raise NotFound("There is no such credential")


PAGES: tuple[Endpoint, ...] = (
    page(LIST, show_list, "credentials", "The own credentials for services"),
    page(f"{LIST}/new", show_new, "credential_new", "Add a credential", query=NewQuery),
    action(f"{LIST}/new", add, "credential_add", "Test or store a credential", per_minute=20),
    page(_ONE, show_one, "credential", "One credential"),
    action(_ONE, change, "credential_change", "Change a credential", per_minute=20),
    action(f"{_ONE}/confirm", confirm, "credential_confirm", "Let a credential follow its service"),
    action(
        f"{_ONE}/verify", verify, "credential_verify", "Ask the service about one", per_minute=10
    ),
    page(f"{_ONE}/delete", ask_to_delete, "credential_delete", "Whether to delete a credential"),
    action(f"{_ONE}/delete", delete, "credential_delete_post", "Delete a credential"),
)
