"""Rendering: `templates/email/<name>/{subject.txt,body.txt,body.html}`, HTML escaped, unknown names refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jinja2

from app.core.names import one_line

TEMPLATES_DIR = Path(__file__).resolve().parents[2] / "templates" / "email"


class TemplateBroken(Exception):
    """Raised when a template does not exist or uses what it was not given: no repeat will mend that."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An e-mail in words."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


@cache
def environment() -> jinja2.Environment:
    """Give the one environment of the e-mails."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES_DIR),
        autoescape=jinja2.select_autoescape(("html",), default_for_string=False, default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, context: Mapping[str, object]) -> Rendered:
    """Render an e-mail. Raises TemplateBroken."""
    env = environment()
    try:
        subject, text, html = (
            env.get_template(f"{template}/{part}").render(context)
            for part in ("subject.txt", "body.txt", "body.html")
        )
    except jinja2.TemplateError as error:
        raise TemplateBroken(f"the e-mail {template}: {error}") from error
    return Rendered(one_line(subject), text.strip() + "\n", html)
