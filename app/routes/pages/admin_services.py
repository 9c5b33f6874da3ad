"""The services, for administrators: find out, try, add, set, watch over, delete."""

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from app.adapters.presets import PRESETS
from app.core.errors import AppError, InvalidInput
from app.core.models import Service
from app.routes.pages.service_form import ServiceForm, settings_of, typed
from app.usecases import catalogue, monitoring, overview
from app.usecases.catalogue import Written
from app.usecases.discovery import Address, Discovery, discover
from app.usecases.panels import list_panels
from app.usecases.service_fields import ServiceChange
from app.usecases.syncing import Synced, sync_panels
from app.usecases.trials import Trial, try_change, try_new
from app.web.endpoint import INT, Access, Call, Endpoint, Paging
from app.web.pages import Form, action, is_fragment, page, refusal_status, render, see_other
from app.web.problem import status_of

LIST = "/ui/admin/services"
ONE = f"{LIST}/{{id:{INT}}}"
_MAX_PANELS = 500
_SHOWS = ("enabled", "disabled", "trouble", "maintenance")
Word = Annotated[str, msgspec.Meta(max_length=200)]


class ServicesQuery(Paging, frozen=True, kw_only=True):
    """`show` keeps those enabled, disabled, in maintenance, or with something that an administrator should look at."""

    q: Word | None = None
    show: Word | None = None


class NewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the form begins with: a preset, or nothing but a kind of server."""

    preset: Word | None = None
    api_type: Word | None = None


async def show_list(call: Call) -> web.Response:
    query: ServicesQuery = call.query
    services, _ = await catalogue.list_services(
        call.deps, is_active=None, api_type=None, limit=catalogue.EVERY_SERVICE, offset=0
    )
    rows = [(service, catalogue.warnings_for(service)) for service in services]
    words = (query.q or "").casefold().split()
    show = query.show if query.show in _SHOWS else ""
    wanted = [row for row in rows if _is_wanted(row, words, show)]
    return await render(
        call,
        "pages/admin_services.html",
        rows=wanted[query.offset : query.offset + query.limit],
        matched=len(wanted),
        total=len(services),
        url=f"{LIST}?{urlencode({'q': query.q or '', 'show': show})}",
        limit=query.limit,
        offset=query.offset,
        counts=await overview.count_of_services(call.deps),
        q=query.q or "",
        show=show,
    )


def _is_wanted(row: tuple[Service, tuple[str, ...]], words: list[str], show: str) -> bool:
    service, warnings = row
    text = f"{service.name} {service.slug} {service.base_url} {service.location} {service.institution}".casefold()
    kept = {
        "": True,
        "enabled": service.is_active,
        "disabled": not service.is_active,
        "maintenance": service.maintenance,
        "trouble": service.is_active and (service.health == "down" or bool(warnings)),
    }[show]
    return kept and all(word in text for word in words)


async def show_new(call: Call) -> web.Response:
    query: NewQuery = call.query
    preset = PRESETS.get(query.preset or "")
    api_type = preset.api_type if preset else query.api_type
    schema = call.deps.adapters.schema(api_type or "")
    if api_type is None or schema is None:
        return await _show_find(call, Form())
    form = ServiceForm(schema, settings=settings_of(preset) if preset else None)
    return await _show_new(call, form, api_type, preset.slug if preset else "")


async def _show_find(call: Call, form: Form, status: int = 200) -> web.Response:
    return await render(
        call,
        "pages/admin_service_find.html",
        status=status,
        form=form,
        presets=PRESETS,
        kinds=call.deps.adapters.kinds(),
    )


async def find(call: Call) -> web.Response:
    form = Form(typed(call))
    try:
        found = await discover(call.deps, call.actor, form.read(Address))
    except AppError as error:
        return await _show_find(call, form.refuse(error), status_of(error))
    wanted = typed(call).get("kind", "")
    proposal = next(
        (one for one in found.proposals if one.found.api_type == wanted), found.proposals[0]
    )
    service = proposal.service
    preset = PRESETS.get(service.get("preset", ""))
    schema = call.deps.adapters.schema(service["api_type"]) or msgspec.Struct
    settings = {**(settings_of(preset) if preset else {}), **service}
    shown = ServiceForm(schema, settings=settings)
    return await _show_new(call, shown, service["api_type"], service.get("preset", ""), found=found)


async def _show_new(
    call: Call,
    form: ServiceForm,
    api_type: str,
    preset: str,
    *,
    found: Discovery | None = None,
    trial: Trial | None = None,
    status: int = 200,
) -> web.Response:
    return await render(
        call,
        "pages/admin_service_new.html",
        status=status,
        form=form,
        api_type=api_type,
        preset=preset,
        found=found,
        trial=trial,
    )


async def add(call: Call) -> web.Response:
    fields = typed(call)
    api_type, preset = fields.get("api_type", ""), fields.get("preset", "")
    schema = call.deps.adapters.schema(api_type)
    if schema is None:
        raise InvalidInput("There is no such kind of service", action="Begin again.")
    form = ServiceForm(schema, fields)
    token = fields.get("api_token", "").strip() or None
    more: dict[str, Any] = {"api_type": api_type, **({"preset": preset} if preset else {})}
    if slug := fields.get("slug", "").strip():
        more["slug"] = slug
    try:
        new = form.new(**more)
        if fields.get("do") == "check":
            return await _told(call, form, api_type, preset, await try_new(call.deps, call.actor, new, token))  # fmt: skip
        if token and new.credential_policy == "shared" and isinstance(new.api_config, dict):
            new = msgspec.structs.replace(new, api_config={**new.api_config, "api_token": token})
        written = await catalogue.add_service(call.deps, call.actor, new)
    except AppError as error:
        form.refuse(error)
        if is_fragment(call.request):
            return await render(call, "_partials/service_trial.html", status=refusal_status(call.request, error), form=form, trial=None)  # fmt: skip
        return await _show_new(call, form, api_type, preset, status=status_of(error))
    return await _saved(call, written, "service-added")


async def _told(
    call: Call, form: ServiceForm, api_type: str, preset: str, trial: Trial
) -> web.Response:
    if is_fragment(call.request):
        return await render(call, "_partials/service_trial.html", form=form, trial=trial)
    return await _show_new(call, form, api_type, preset, trial=trial)


async def show(call: Call) -> web.Response:
    return await _show(call, await catalogue.get_service(call.deps, call.path_int("id")))


async def _show(
    call: Call,
    service: Service,
    *,
    form: ServiceForm | None = None,
    trial: Trial | None = None,
    synced: Synced | None = None,
    refusal: AppError | None = None,
    warnings: tuple[str, ...] = (),
    saved: str = "",
    status: int = 200,
) -> web.Response:
    panels, _ = await list_panels(
        call.deps, service.id, inactive_too=True, limit=_MAX_PANELS, offset=0
    )
    counts = await overview.count_of_services(call.deps)
    return await render(
        call,
        "pages/admin_service.html",
        status=status_of(refusal) if refusal is not None and status == 200 else status,
        service=service,
        form=form or _form_of(call, service),
        panels=panels,
        count=counts.get(service.id),
        trial=trial,
        synced=synced,
        refusal=refusal,
        saved=saved,
        warnings=warnings or catalogue.warnings_for(service),
        live=service.live_form or {},
    )


def _form_of(call: Call, service: Service, *, as_typed: bool = False) -> ServiceForm:
    schema = call.deps.adapters.schema(service.api_type) or msgspec.Struct
    return ServiceForm(schema, typed(call) if as_typed else None, settings_of(service))


async def change(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    form = _form_of(call, service, as_typed=True)
    token = typed(call).get("api_token", "").strip() or None
    try:
        wanted = form.change(service)
        if typed(call).get("do") == "check":
            trial = await try_change(call.deps, call.actor, service, wanted, token)
            if is_fragment(call.request):
                return await render(call, "_partials/service_trial.html", form=form, trial=trial)
            return await _show(call, service, form=form, trial=trial)
        written = await catalogue.change_service(call.deps, call.actor, service.id, wanted)
    except AppError as error:
        form.refuse(error)
        if is_fragment(call.request):
            return await render(call, "_partials/service_trial.html", status=refusal_status(call.request, error), form=form, trial=None)  # fmt: skip
        return await _show(call, service, form=form, status=status_of(error))
    return await _saved(call, written, "saved")


async def _saved(call: Call, written: Written, done: str) -> web.Response:
    """Go on to the service; what is to be said only once is said at once."""
    if set(written.warnings) - set(catalogue.warnings_for(written.service)):
        return await _show(call, written.service, warnings=written.warnings, saved=done)
    return see_other(f"{LIST}/{written.service.id}", done)


async def check(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    await monitoring.check_health(call.deps, service)
    return see_other(f"{LIST}/{service.id}", "service-checked")


async def sync(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    try:
        synced = await sync_panels(call.deps, call.actor, service.id)
    except AppError as error:
        return await _show(call, service, refusal=error)
    return await _show(call, await catalogue.get_service(call.deps, service.id), synced=synced)


async def switch(call: Call) -> web.Response:
    is_on = call.path_text("state") == "enable"
    return await _set(
        call,
        ServiceChange(is_active=is_on),
        "service-enabled" if is_on else "service-disabled",
    )


async def maintain(call: Call) -> web.Response:
    is_on = "maintenance" in typed(call)
    message = typed(call).get("maintenance_message", "").strip() or None if is_on else None
    return await _set(
        call,
        ServiceChange(maintenance=is_on, maintenance_message=message),
        "maintenance-on" if is_on else "maintenance-off",
    )


async def set_token(call: Call) -> web.Response:
    token = typed(call).get("token", "").strip()
    if not token:
        refusal = InvalidInput("No token was typed", action="Paste the token, then store it.")
        service = await catalogue.get_service(call.deps, call.path_int("id"))
        return await _show(call, service, refusal=refusal)
    return await _set(call, ServiceChange(api_config={"api_token": token}), "token-set")


async def ask_to_remove_token(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    return await render(call, "pages/admin_service_token.html", service=service)


async def remove_token(call: Call) -> web.Response:
    return await _set(call, ServiceChange(api_config={"api_token": None}), "token-removed")


async def _set(call: Call, wanted: ServiceChange, done: str) -> web.Response:
    service_id = call.path_int("id")
    try:
        await catalogue.change_service(call.deps, call.actor, service_id, wanted)
    except InvalidInput as error:
        service = await catalogue.get_service(call.deps, service_id)
        return await _show(call, service, refusal=error)
    return see_other(f"{LIST}/{service_id}", done)


async def ask_to_delete(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    return await _ask_to_delete(call, service)


async def _ask_to_delete(
    call: Call, service: Service, refusal: AppError | None = None
) -> web.Response:
    counts = await overview.count_of_services(call.deps)
    return await render(
        call,
        "pages/admin_service_delete.html",
        status=200 if refusal is None else status_of(refusal),
        service=service,
        count=counts.get(service.id),
        refusal=refusal,
    )


async def delete(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    try:
        await catalogue.delete_service(call.deps, call.actor, service.id)
    except AppError as error:
        return await _ask_to_delete(call, service, error)
    return see_other(LIST, "service-deleted")


_ADMIN = Access.ADMIN
PAGES: tuple[Endpoint, ...] = (
    page(LIST, show_list, "admin_services", "Look after the services", access=_ADMIN, query=ServicesQuery),
    page(f"{LIST}/new", show_new, "service_new", "Add a service", access=_ADMIN, query=NewQuery),
    action(f"{LIST}/discover", find, "service_find", "Find out what answers at an address", access=_ADMIN, per_minute=20),
    action(f"{LIST}/new", add, "service_add", "Try or add a service", access=_ADMIN, per_minute=60),
    page(ONE, show, "admin_service", "Look after one service", access=_ADMIN),
    action(ONE, change, "service_change", "Try or change a service", access=_ADMIN, per_minute=60),
    action(f"{ONE}/check", check, "service_check", "Look at a service now", access=_ADMIN, per_minute=30),
    action(f"{ONE}/sync", sync, "service_sync", "Read a service's panels now", access=_ADMIN, per_minute=30),
    action(f"{ONE}/{{state:enable|disable}}", switch, "service_switch", "Switch a service on or off", access=_ADMIN),
    action(f"{ONE}/maintenance", maintain, "service_maintenance", "Begin or end a maintenance", access=_ADMIN),
    action(f"{ONE}/token", set_token, "service_token", "Store a shared token", access=_ADMIN),
    page(f"{ONE}/token/remove", ask_to_remove_token, "service_token_ask", "Whether to remove a shared token", access=_ADMIN),
    action(f"{ONE}/token/remove", remove_token, "service_token_remove", "Remove a shared token", access=_ADMIN),
    page(f"{ONE}/delete", ask_to_delete, "service_delete_ask", "Whether to delete a service", access=_ADMIN),
    action(f"{ONE}/delete", delete, "service_delete", "Delete a service", access=_ADMIN),
)  # fmt: skip
