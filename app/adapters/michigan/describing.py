"""What a service offers, out of its live form. Pure."""

from collections.abc import Mapping

from app.adapters.base import Choice, Panel, ServiceDescription
from app.adapters.michigan import dialects
from app.adapters.michigan.discovery import Form, build_in
from app.adapters.michigan.forms import default_phasing, options_of
from app.adapters.text import clean_line


def description_of(form: Form, server: Mapping[str, object], configured: str) -> ServiceDescription:
    """Give the description of a server by its page and its app's form; `configured` is the dialect in its settings."""
    panels = form.panels.choices if form.panels else ()
    return ServiceDescription(
        app_id=form.app_id,
        app_version=form.version,
        server_name=clean_line(server.get("name")) or None,
        panels=tuple(_panel(form, choice) for choice in panels),
        builds=_keys(form, "build"),
        phasings=_keys(form, "phasing"),
        default_phasing=default_phasing(form),
        modes=_keys(form, "mode"),
        options=options_of(form),
        dialect=dialects.of_server(server).name,
        warnings=dialects.mismatch(configured, dialects.of_server(server)),
    )


def _panel(form: Form, choice: Choice) -> Panel:
    """Read a panel. Its own build is not told but by its title; its version stands in its key, `apps@id@version`."""
    build = build_in(choice.label)
    return Panel(
        key=choice.key,
        name=choice.label,
        populations=form.populations(choice.key),
        builds=(build,) if build else (),
        version=choice.key.removeprefix("apps@").partition("@")[2] or None,
    )


def _keys(form: Form, name: str) -> tuple[str, ...]:
    item = form.fields.get(name)
    return tuple(choice.key for choice in item.choices) if item else ()
