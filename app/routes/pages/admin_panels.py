"""The reference panels of a service, for administrators: enter by hand, change, retire."""

import msgspec
from aiohttp import web
from multidict import MultiMapping

from app.core.errors import AppError, FieldError, InvalidInput, NotFound
from app.core.models import Panel, Service
from app.routes.pages.admin_services import ONE
from app.routes.pages.service_form import typed
from app.usecases import catalogue, panels
from app.usecases.panels import PanelChange, PanelIn
from app.web.endpoint import INT, Access, Call, Endpoint
from app.web.pages import Form, action, page, render, see_other
from app.web.problem import status_of
from app.web.reading import is_text

_ALL = f"{ONE}/panels"
_PANEL = f"{_ALL}/{{panel_id:{INT}}}"
_MOST = 1000


async def show_new(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    return await _show(call, service, None, Form())


async def add(call: Call) -> web.Response:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    form = Form(typed(call))
    try:
        given = _read(typed(call))
        new = PanelIn(key=typed(call).get("key", ""), **msgspec.structs.asdict(given))
        await panels.add_panel(call.deps, call.actor, service.id, new)
    except AppError as error:
        return await _show(call, service, None, form.refuse(error), status_of(error))
    return see_other(_of(service), "panel-added")


async def show(call: Call) -> web.Response:
    service, panel = await _find(call)
    return await _show(call, service, panel, _form_of(panel))


async def change(call: Call) -> web.Response:
    service, panel = await _find(call)
    form = Form(typed(call))
    try:
        given = _read(typed(call))
        wanted = PanelChange(
            name=given.name,
            populations=given.populations,
            builds=given.builds,
            version=given.version,
        )
        await panels.change_panel(call.deps, call.actor, service.id, panel.id, wanted)
    except AppError as error:
        return await _show(call, service, panel, form.refuse(error), status_of(error))
    return see_other(_of(service), "saved")


async def ask_to_retire(call: Call) -> web.Response:
    service, panel = await _find(call)
    return await render(call, "pages/admin_panel_retire.html", service=service, panel=panel)


async def retire(call: Call) -> web.Response:
    service, panel = await _find(call)
    wanted = PanelChange(is_active=False)
    await panels.change_panel(call.deps, call.actor, service.id, panel.id, wanted)
    return see_other(_of(service), "panel-retired")


async def restore(call: Call) -> web.Response:
    service, panel = await _find(call)
    try:
        wanted = PanelChange(is_active=True)
        await panels.change_panel(call.deps, call.actor, service.id, panel.id, wanted)
    except AppError as error:
        form = _form_of(panel).refuse(error)
        return await _show(call, service, panel, form, status_of(error))
    return see_other(_of(service), "panel-restored")


class _Typed(msgspec.Struct, frozen=True):
    """What both forms hold."""

    name: str
    populations: list[dict[str, str] | str]
    builds: list[str]
    version: str | None


def _read(fields: MultiMapping[str]) -> _Typed:
    if odd := [name for name, text in fields.items() if not is_text(text)]:
        raise InvalidInput(
            "Please look at the marked field",
            errors=[FieldError(odd[0], "holds a character that is not text")],
        )
    lines = [line.strip() for line in fields.get("populations", "").splitlines() if line.strip()]
    populations: list[dict[str, str] | str] = []
    for line in lines:
        key, sign, label = (part.strip() for part in line.partition("="))
        populations.append({"key": key, "label": label} if sign else key)
    return _Typed(
        fields.get("name", ""),
        populations,
        list(fields.getall("builds", [])),
        fields.get("version", "").strip() or None,
    )


def _form_of(panel: Panel) -> Form:
    lines = [
        item["key"] if item.get("label", item["key"]) == item["key"] else f"{item['key']} = {item['label']}"
        for item in panel.populations
    ]  # fmt: skip
    return Form(
        defaults={
            "key": panel.key,
            "name": panel.name,
            "version": panel.version,
            "builds": panel.builds,
            "populations": "\n".join(lines),
        }
    )


async def _find(call: Call) -> tuple[Service, Panel]:
    service = await catalogue.get_service(call.deps, call.path_int("id"))
    found, _ = await panels.list_panels(
        call.deps, service.id, inactive_too=True, limit=_MOST, offset=0
    )
    for panel in found:
        if panel.id == call.path_int("panel_id"):
            return service, panel
    raise NotFound("The service has no such reference panel", code="panel_not_found")


async def _show(
    call: Call, service: Service, panel: Panel | None, form: Form, status: int = 200
) -> web.Response:
    return await render(
        call, "pages/admin_panel.html", status=status, service=service, panel=panel, form=form
    )


def _of(service: Service) -> str:
    return f"/ui/admin/services/{service.id}"


_ADMIN = Access.ADMIN
PAGES: tuple[Endpoint, ...] = (
    page(f"{_ALL}/new", show_new, "panel_new", "Enter a panel by hand", access=_ADMIN),
    action(f"{_ALL}/new", add, "panel_add", "Enter a panel by hand", access=_ADMIN),
    page(_PANEL, show, "panel", "One panel of a service", access=_ADMIN),
    action(_PANEL, change, "panel_change", "Change a panel", access=_ADMIN),
    page(f"{_PANEL}/retire", ask_to_retire, "panel_retire_ask", "Whether to retire a panel", access=_ADMIN),
    action(f"{_PANEL}/retire", retire, "panel_retire", "Retire a panel", access=_ADMIN),
    action(f"{_PANEL}/restore", restore, "panel_restore", "Let a panel be chosen again", access=_ADMIN),
)  # fmt: skip
