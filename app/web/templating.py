"""The templates of the pages: one environment, with the filters and names that all of them may use."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from app import VERSION
from app.core.countries import BY_NAME, country_name
from app.core.deeds import deed_in_words
from app.core.jobs import TERMINAL
from app.web import looks
from app.web.assets import icon_shape, load
from app.web.ways_out import plain, way_of

TEMPLATES_DIR = Path(__file__).resolve().parents[2] / "templates"
BYTECODES: jinja2.BytecodeCache | None = None
"""Where compiled templates are kept for the next application. Tests make one application each; the platform makes one alone."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def set_up(app: web.Application) -> jinja2.Environment:
    """Give an application its templates."""
    env: jinja2.Environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=BYTECODES,
        extensions=["jinja2.ext.loopcontrols"],
    )
    env.filters.update(
        country=country_name,
        deed=deed_in_words,
        size=size,
        count=count,
        duration=duration,
        ago=ago,
        when=when,
        iso=iso,
    )
    env.filters["plain"] = plain
    env.globals.update(
        way_of=way_of,
        icon=icon,
        asset=load().url,
        STATUS=looks.STATUS,
        STAGE=looks.STAGE,
        BATCH=looks.BATCH,
        HEALTH=looks.HEALTH,
        CREDENTIAL=looks.CREDENTIAL,
        DIALECTS=looks.DIALECTS,
        NOTICES=looks.NOTICES,
        DONE=looks.DONE,
        TERMINAL=TERMINAL,
        COUNTRIES=BY_NAME,
        VERSION=VERSION,
    )
    return env


def render(request: web.Request, template: str, context: Mapping[str, Any]) -> str:
    """Render a template."""
    return aiohttp_jinja2.render_string(template, request, context)


def icon(name: str, label: str = "", cls: str = "") -> Markup:
    """Give an icon inline. Without a label it is decoration, which screen readers skip."""
    meaning = (
        Markup('role="img" aria-label="{}"').format(label)
        if label
        else Markup('aria-hidden="true"')
    )
    classes = escape(f"icon {cls}".strip())
    return Markup(
        '<svg class="{}" viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>'
    ).format(classes, meaning, Markup(icon_shape(name)))  # noqa: S704 - vendored, not from anybody


def size(number: float | None) -> str:
    """Write a number of bytes as people read it: «581 B», «9.0 MB»; nothing where it is not known."""
    if number is None:
        return ""
    value = float(number)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:  # 999.96 would be written as 1000.0
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def count(number: int | None) -> str:
    """Write a number with thin spaces between thousands; nothing where it is not known."""
    return "" if number is None else f"{number:,}".replace(",", "\u202f")


def duration(seconds: float | timedelta | None) -> str:
    """Write a duration with its two largest units: «45 s», «3 min 20 s», «2 d 4 h»."""
    if seconds is None:
        return ""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    whole = max(0, round(seconds))
    if whole < 1:
        return "under 1 s"
    parts: list[tuple[int, str]] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, whole = divmod(whole, length)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)


def ago(at: datetime, now: datetime) -> str:
    """Say how long ago, or in how long, a time is."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 45:
        return "just now" if seconds >= 0 else "in a moment"
    units = (("day", 86_400), ("hour", 3600), ("minute", 60))
    unit, length = next((item for item in units if abs(seconds) >= item[1] * 0.95), units[-1])
    number = max(1, round(abs(seconds) / length))
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def when(at: datetime) -> str:
    """Write a time in full, in UTC: «2026-11-28 07:05 UTC»."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def iso(at: datetime) -> str:
    """Write a time for `<time datetime>`."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
