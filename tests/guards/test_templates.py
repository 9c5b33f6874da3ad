"""Guards over the templates, as text: nothing inline, nothing from elsewhere, and whatever they name is there."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import jinja2
import pytest
from aiohttp import web

from app.routes.pages.table import PAGES
from app.routes.table import ENDPOINTS, methods_of, paths_of
from app.web import looks, templating
from app.web.assets import STATIC_DIR, icon_shape, load
from app.web.endpoint import PATH_PARAM
from app.web.looks import DONE, Look
from app.web.templating import TEMPLATES_DIR

APP_DIR = Path(looks.__file__).parents[1]
TEMPLATES = sorted(
    path
    for path in TEMPLATES_DIR.rglob("*.html")
    if "email" not in path.relative_to(TEMPLATES_DIR).parts
)
OURS = sorted(
    path
    for path in STATIC_DIR.rglob("*")
    if path.suffix in (".js", ".css") and "vendor" not in path.parts
)
TONES = {"neutral", "info", "active", "good", "warn", "bad"}
EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
BLOCK = re.compile(r"\{%.*?%\}", re.DOTALL)
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
ANY = "\N{BLACK SQUARE}"
"""Stands for what an expression gives."""


def text_of(path: Path) -> str:
    """Give a template without its comments."""
    return COMMENT.sub("", path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(TEMPLATES_DIR).as_posix()


def name_in_static(path: Path) -> str:
    return path.relative_to(STATIC_DIR).as_posix()


each_template = pytest.mark.parametrize("path", TEMPLATES, ids=name_of)


@pytest.fixture(scope="module")
def environment() -> jinja2.Environment:
    return templating.set_up(web.Application())


@each_template
def test_template_when_compiled_then_it_is_one(environment: jinja2.Environment, path: Path) -> None:
    environment.get_template(name_of(path))


@each_template
def test_template_when_written_then_nothing_is_inline(path: Path) -> None:
    markup = EXPRESSION.sub(ANY, text_of(path))

    assert not re.findall(r"<[^>]*\sstyle\s*=", markup), "the policy refuses style attributes"
    assert not re.findall(r"<[^>]*\s(?:on\w+|hx-on[\w:-]*)\s*=", markup), "… and handlers"
    assert "<style" not in markup
    assert "javascript:" not in markup
    for tag in re.findall(r"<script\b[^>]*>", markup):
        assert " src=" in tag or 'type="application/json"' in tag, tag
    for trigger in re.findall(r'hx-trigger="([^"]*)"', markup):
        assert "[" not in trigger, f"a filter needs eval: {trigger}"
    for value in re.findall(r'hx-(?:vals|headers)="([^"]*)"', markup):
        assert not value.startswith(("js:", "javascript:")), value


@each_template
def test_template_when_it_picks_from_a_reply_then_what_stands_in_it_does_not(path: Path) -> None:
    # htmx hands hx-select down: a form inside would look for the same in its own reply, find nothing, and vanish.
    markup = EXPRESSION.sub(ANY, text_of(path))
    for tag in re.findall(r"<(?!form|a|button|input)[a-z]+\b[^>]*\shx-select=[^>]*>", markup):
        assert "hx-disinherit" in tag, tag


@each_template
def test_template_when_it_loads_or_leads_somewhere_then_nowhere_else(path: Path) -> None:
    markup = EXPRESSION.sub(ANY, text_of(path))
    found = re.findall(
        r"\b(?:src|srcset|action|formaction|hx-[a-z]+|poster|data|xlink:href)=\"((?:https?:)?//[^\"]*)\"",
        markup,
    )
    links = re.findall(r"<(?:link|use|image|base)\b[^>]*href=\"((?:https?:)?//[^\"]*)\"", markup)

    assert not found + links
    for tag in re.findall(r"<a\b[^>]*target=\"_blank\"[^>]*>", markup):
        assert "noopener" in tag, tag


@each_template
def test_template_when_it_names_an_asset_or_icon_then_it_is_there(path: Path) -> None:
    text = text_of(path)
    for name in re.findall(r"asset\(\s*['\"]([^'\"]+)['\"]\s*\)", text):
        assert name in load().files, name
    icons = re.findall(r"\bicon\(\s*['\"]([a-z0-9-]+)['\"]", text)
    icons += re.findall(r"\bnav_link\(\s*['\"][^'\"]*['\"]\s*,\s*['\"]([a-z0-9-]+)['\"]", text)
    icons += re.findall(r"\bempty\(\s*['\"]([a-z0-9-]+)['\"]", text)
    for name in icons:
        icon_shape(name)
    for tone in re.findall(r'data-tone="([a-z]+)"', text):
        assert tone in TONES, tone


def test_looks_when_written_then_their_icons_and_tones_are_there() -> None:
    tables = [value for value in vars(looks).values() if isinstance(value, Mapping)]
    found = [item for table in tables for item in table.values() if isinstance(item, Look)]
    assert len(found) > 15
    for look in found:
        icon_shape(look.icon)
        assert look.tone in TONES, look


@pytest.mark.parametrize(
    "path", [path for path in OURS if path.suffix == ".css"], ids=name_in_static
)
def test_style_when_read_then_every_block_ends(path: Path) -> None:
    # A browser leaves out what follows one that does not, and says nothing.
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        depth += line.count("{") - line.count("}")
        assert depth >= 0, f"line {number} closes too much"
    assert depth == 0


@pytest.mark.parametrize("path", OURS, ids=name_in_static)
def test_static_when_ours_then_it_fetches_nothing_from_elsewhere(path: Path) -> None:
    text = re.sub(
        r"//.*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL if path.suffix == ".css" else 0
    )

    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)
    assert not re.findall(r"\beval\(|new Function\(|\.innerHTML\s*=(?!=)|document\.write", text)
    for target in re.findall(r"url\([\"']?([^\"')]+)", text) if path.suffix == ".css" else []:
        assert target.startswith("data:") or (path.parent / target).is_file(), target
    for target in re.findall(r"(?:from|import)\s*\(?[\"'](\.[^\"']+)[\"']", text):
        assert (path.parent / target).is_file(), target


# Addresses


@cache
def routes() -> list[tuple[str, list[re.Pattern[str]]]]:
    """Give what the router knows: the method, and a pattern for each part of the path."""
    return [
        (method, [re.compile(PATH_PARAM.sub(_part, part)) for part in _split(path)])
        for item in (*PAGES, *ENDPOINTS)
        for path in paths_of(item)
        for method in methods_of(item)
    ]


def _split(path: str) -> list[str]:
    """Split a path at its slashes; those inside a parameter's pattern are none."""
    return re.split(r"/(?![^{}]*(?:\{[^{}]*\}[^{}]*)*\})", path)


def _part(match: re.Match[str]) -> str:
    return f"(?:{match[2] or '[^{}/]+'})"


def leads(method: str, address: str) -> bool:
    """Tell whether an address, in which ANY stands for what is not known, may lead to one of our routes."""
    path = re.split(r"[?#]", address)[0]
    if path.startswith(ANY) or not path:  # known at run time only
        return True
    # What follows an unknown end may be a query.
    return any(_fits(method, tried) for tried in {path, path.rstrip(ANY)})


def _fits(method: str, path: str) -> bool:
    parts = path.split("/")
    return any(
        known == method
        and len(patterns) == len(parts)
        and all(
            ANY in part or pattern.fullmatch(part)
            for pattern, part in zip(patterns, parts, strict=True)
        )
        for known, patterns in routes()
    )


def addresses(markup: str) -> Iterator[tuple[str, str]]:
    """Give (method, address) of whatever leads somewhere on this platform."""
    for tag in re.findall(r"<[a-z][^>]*>", markup):
        for name, address in re.findall(
            r'\s(href|action|formaction|hx-get|hx-post|src|data-href)="([^"]*)"', tag
        ):
            if not address.startswith("/") or address.startswith(f"/static/{ANY}"):
                continue
            posts = name in ("hx-post", "formaction") or (
                name == "action" and re.search(r'method="post"', tag, re.IGNORECASE)
            )
            yield ("POST" if posts else "GET"), address


@each_template
def test_template_when_it_leads_somewhere_then_there_is_something(path: Path) -> None:
    # What stands in an address under a condition is not known.
    markup = BLOCK.sub(" ", EXPRESSION.sub(ANY, text_of(path)))
    dead = [
        f"{method} {address}"
        for method, address in addresses(markup)
        if " " not in address and not leads(method, address)
    ]

    assert not dead


def _texts(tree: ast.AST) -> Iterator[str]:
    """Give the strings of a module; ANY stands for what f-strings fill in."""
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(node.values)
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else ANY for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.value


def test_code_when_it_leads_to_a_page_then_there_is_one() -> None:
    dead = []
    for path in sorted(APP_DIR.rglob("*.py")):
        if "sandbox" in path.parts:
            continue
        for text in _texts(ast.parse(path.read_text())):
            if re.match(r"/ui/\S+$", text) and "{" not in text and not text.endswith("/{"):
                known = leads("GET", text) or leads("POST", text)
                # The beginning of a row's path stands for what follows.
                begins = any(item.path.startswith(text) for item in PAGES)
                if not known and not begins:
                    dead.append(f"{path.relative_to(APP_DIR)}: {text}")

    assert not dead


# What belongs together


def _source() -> str:
    return "\n".join(path.read_text() for path in sorted(APP_DIR.rglob("*.py")))


def test_done_when_said_then_it_has_words_and_no_words_are_idle() -> None:
    source = _source()
    said = set(re.findall(r"\bdone=\"([a-z-]+)\"", source)) | set(
        re.findall(r"[?&]done=([a-z-]+)", source)
    )

    assert said <= set(DONE), sorted(said - set(DONE))
    elsewhere = re.sub(r"DONE: Mapping.*?\n\)\n", "", source, flags=re.DOTALL)
    idle = [key for key in DONE if not re.search(rf"[\"'=]{re.escape(key)}[\"'&]", elsewhere)]
    assert not idle, "nothing says them"


def test_templates_when_there_then_something_shows_each() -> None:
    everything = _source() + "".join(path.read_text() for path in TEMPLATES)
    idle = [name for name in map(name_of, TEMPLATES) if f'"{name}"' not in everything]
    assert not idle, "nothing uses them"


def test_assets_when_there_then_something_loads_each() -> None:
    everything = _source() + "".join(path.read_text() for path in (*TEMPLATES, *OURS))
    idle = [name for name in load().files if Path(name).name not in everything]
    assert not idle, "nothing loads them"
