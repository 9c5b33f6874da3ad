"""What the source says of errors and log events, read from its syntax."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path

import app
from app.core import errors
from app.genotypes.findings import Code
from app.web.problem import _FRAMEWORK, STATUS, status_of

APP_DIR = Path(app.__file__).parent
CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if isinstance(cls, type) and issubclass(cls, errors.AppError)
}
# Rendered by app.web.problem with a status of its own.
OF_PROBLEM = {"internal_error": 500, "malformed_request": 400}
# Conditions and ranges of downloads, named by the status's phrase (app.web.streaming).
OF_DOWNLOADS = {
    HTTPStatus(status).phrase.lower().replace(" ", "_"): status for status in (412, 416)
}
LEVELS = {name: name for name in ("debug", "info", "warning", "error", "critical")} | {
    "exception": "error",
    "report": "warning",  # what app.lifespan lets the embedded servers report by
}
SERVERS = ("postgres", "valkey")
KINDS = ("field", "file")  # of parts of a form (app.web.upload)


@cache
def _calls() -> tuple[ast.Call, ...]:
    """Give every call in the platform's source."""
    return tuple(
        node
        for path in sorted(APP_DIR.rglob("*.py"))
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    )


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _given(call: ast.Call) -> list[str]:
    """Give the codes that a call names: `code="…"`, or the second of `refuse(field, code, message)`."""
    given = [item.value for item in call.keywords if item.arg == "code"]
    if _name(call) == "refuse" and len(call.args) > 2:
        given.append(call.args[1])
    found = [code for node in given for code in _texts(node, KINDS)]
    return [code for code in found if re.fullmatch(r"[a-z_]+", code)]


def _texts(node: ast.expr, values: Sequence[str]) -> list[str]:
    """Give what a text is, or may be where it has one gap that takes one of `values`."""
    if isinstance(node, ast.JoinedStr):
        parts = [_constant(part) for part in node.values]
        if parts.count(None) > 1:
            return []
        return ["".join(part or value for part in parts) for value in values]
    constant = _constant(node)
    return [] if constant is None else [constant]


def _of_answers() -> Iterator[tuple[str, int]]:
    for cls in CLASSES.values():
        yield cls.default_code, int(_status(cls))
    for call in _calls():
        cls = CLASSES.get(_name(call), errors.InvalidInput)
        yield from ((code, int(_status(cls))) for code in _given(call) if code not in OF_PROBLEM)
    for status, (code, *_) in _FRAMEWORK.items():
        yield code, status
    yield from OF_PROBLEM.items()
    yield from OF_DOWNLOADS.items()


def _status(cls: type[errors.AppError]) -> HTTPStatus:
    bare = cls.__new__(cls)
    return status_of(bare) if cls is not errors.AppError else HTTPStatus.INTERNAL_SERVER_ERROR


def api_statuses() -> dict[str, set[int]]:
    """Give the statuses with which each code of the API is answered; codes of genotype files alone are left out."""
    found: dict[str, set[int]] = {}
    for code, status in _of_answers():
        found.setdefault(code, set()).add(status)
    for code in Code:
        if code.value in found:
            found[code.value].add(400)
    return found


def error_codes() -> set[str]:
    """Give every code: of answers, of failed jobs, of genotype files."""
    of_jobs = {
        code
        for call in _calls()
        if _name(call) in ("fail", "Explanation") and call.args
        if (code := _constant(call.args[0])) is not None
    }
    assert {"results_gone", "strand_flips"} <= of_jobs
    assert set(STATUS) <= set(CLASSES.values())
    return {*api_statuses(), *of_jobs, *(code.value for code in Code)}


def is_read(owner: str, name: str) -> bool:
    """Tell whether something reads an attribute of what is called `owner` (a pattern)."""
    pattern = re.compile(rf"\b(?:{owner})\.{name}\b")
    return any(
        pattern.search(path.read_text())
        for path in APP_DIR.rglob("*.py")
        if "sandbox" not in path.parts and path.name != "settings.py"
    )


def log_events() -> dict[str, set[str]]:
    """Give every event that is logged, with its levels."""
    found: dict[str, set[str]] = {}
    for call in _calls():
        level = LEVELS.get(_name(call))
        for event in _texts(call.args[0], SERVERS) if call.args and level else ():
            if "." in event and " " not in event:
                found.setdefault(event, set()).add(str(level))
    assert {"request.done", "embedded.postgres.died"} <= found.keys()
    return found
