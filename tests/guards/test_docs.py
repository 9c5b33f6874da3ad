"""Guards over the documents: what they say of the code is what the code does, and what they name is there.

`test_documents` sees to the description of the API, `test_readme` runs the README's walk-through.
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY, generate_latest

from app.__main__ import parser
from app.core.jobs import TRANSITIONS, Action, Event, Stage, Status
from app.core.notices import NoticeEvent
from app.settings import Settings
from tests.support.docs import DECISIONS, DOCS, ROOT, blocks, command_lines, documents, section
from tests.support.source import api_statuses, error_codes, is_read, log_events

CODE = re.compile(r"`([a-z][a-z0-9_.]*)`")
NONE = "\N{EN DASH}"
OURS = ("app/", "bench/", "docs/", "scripts/", "sql/", "static/", "templates/", "tests/")


def rows(text: str) -> Iterator[list[str]]:
    """Give the cells of the tables' rows, without the heads."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def first_words(text: str) -> list[str]:
    """Give what stands in back-quotes in the tables' first columns."""
    return [word for cells in rows(text) for word in CODE.findall(cells[0])]


# A job's life


def test_transitions_when_shown_then_they_are_those_of_the_code() -> None:
    text = (DOCS / "jobs.md").read_text()
    shown = text.partition("<!-- transitions")[2].partition("<!-- end of transitions")[0]

    head = f"| status | {' | '.join(Event)} |"
    lines = [
        f"| {status} | {' | '.join(TRANSITIONS.get((status, event), NONE) for event in Event)} |"
        for status in Status
    ]
    expected = "\n".join([head, "|---" * (len(Event) + 1) + "|", *lines])
    assert shown.partition("-->")[2].strip() == expected, f"docs/jobs.md should say\n{expected}"


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Stages", list(Stage)),
        ("Who does what", list(Action)),
        ("Who is told", list(NoticeEvent)),
    ],
)
def test_words_of_a_job_when_listed_then_exactly_those_of_the_code(
    title: str, words: list[str]
) -> None:
    assert sorted(first_words(section("jobs.md", title))) == sorted(words)


# Settings, errors, metrics, logs


def literal(value: object) -> str:
    """Give a default as it would be written into the environment."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`" if str(value) and value != () else NONE


def test_settings_when_listed_then_each_once_with_its_default() -> None:
    settings = section("operations.md", "Settings")
    shown = [
        (name, default) for name, default, _ in re.findall(r"^\| `(FIP_\w+)` \| (.+?) \| (.+) \|$", settings, re.MULTILINE)
    ]  # fmt: skip
    expected = [(f"FIP_{item.name.upper()}", literal(item.default)) for item in fields(Settings)]

    assert sorted(shown) == sorted(expected)


def test_settings_when_there_then_something_reads_them_or_the_document_says_so() -> None:
    settings = section("operations.md", "Settings")
    unread = re.findall(r"^\| `FIP_(\w+)` \|.* not read yet \|$", settings, re.MULTILINE)

    assert {name.lower() for name in unread} == {
        item.name for item in fields(Settings) if not is_read("settings|limits", item.name)
    }


def test_error_codes_when_given_then_the_document_has_exactly_those() -> None:
    told = first_words((DOCS / "errors.md").read_text())

    assert set(told) == error_codes()
    assert len(told) == len(set(told))


def test_error_codes_when_listed_with_a_status_then_it_is_the_answers() -> None:
    shown = {
        code: {int(status) for status in re.findall(r"\d{3}", cells[1])}
        for cells in rows((DOCS / "errors.md").read_text())
        if re.fullmatch(r"\d{3}(, \d{3})*", cells[1])
        for code in CODE.findall(cells[0])
    }

    assert shown == api_statuses()


def test_metrics_when_listed_then_exactly_ours() -> None:
    importlib.import_module("app.main")  # and with it whatever counts something
    exposed = re.findall(r"^# TYPE (fip_\w+)", generate_latest(REGISTRY).decode(), re.MULTILINE)
    listed = [
        word for word in first_words(section("operations.md", "Watching it")) if word[:4] == "fip_"
    ]

    assert sorted(listed) == sorted(name for name in exposed if not name.endswith("_created"))


def test_log_events_when_listed_then_exactly_those_of_the_code_with_their_levels() -> None:
    listed = {
        event: set(cells[1].split(", "))
        for cells in rows(section("operations.md", "Watching it"))
        for event in CODE.findall(cells[0])
        if "." in event
    }

    assert listed == log_events()


# Commands and SQL


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_commands_when_shown_then_they_can_be_called_so(path: Path) -> None:
    for arguments in command_lines(path):
        try:
            parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{path.name} shows a command that there is not: {' '.join(arguments)}")
    known = set(parser()._subparsers._group_actions[0].choices or ())  # type: ignore[union-attr] # argparse has no other way
    named = set(re.findall(r"python -m app ([a-z][a-z-]+)", path.read_text()))
    assert named <= known


def test_commands_when_there_then_readme_lists_exactly_them() -> None:
    known = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr] # argparse has no other way
    table = section("README.md", "Commands").partition("| `make")[0]
    listed = re.findall(r"`([a-z][a-z0-9-]+)`", " ".join(cells[0] for cells in rows(table)))

    assert sorted(listed) == sorted(known or ())


def test_make_targets_when_there_then_readme_lists_exactly_them() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    table = "| `make" + section("README.md", "Commands").partition("| `make")[2]
    listed = re.findall(r"`make ([a-z-]+)`", " ".join(cells[0] for cells in rows(table)))
    anywhere = {
        name
        for path in documents()
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }

    assert sorted(listed) == sorted(targets)
    assert anywhere <= set(targets)


async def test_sql_when_shown_then_the_schema_knows_all_it_names(pool: asyncpg.Pool) -> None:
    statements = [
        statement
        for path in documents()
        for block in blocks(path, "sql")
        for statement in block.split(";")
        if statement.strip()
    ]
    assert len(statements) > 5
    async with pool.acquire() as connection:
        for statement in statements:
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{error}: {statement}")


# What documents name


def anchors(path: Path) -> set[str]:
    """Give the anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_when_followed_then_they_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_paths_when_named_then_they_are_there(path: Path) -> None:
    for word in re.findall(r"`([\w./-]+)`", path.read_text()):
        if word.startswith(OURS):
            assert (ROOT / word).exists(), f"{path.name} names {word}"


def test_map_when_drawn_then_it_has_every_folder_and_no_other() -> None:
    drawn = set(re.findall(r"^(\S+) {2,}", section("README.md", "Map"), re.MULTILINE))
    made = {"build", "data", "dist", "demo-data", "testdata"}  # by make, pip and a running platform
    top = {
        f"{path.name}/"
        for path in ROOT.iterdir()
        if path.is_dir() and path.name[0] not in "._" and path.name not in made
    }
    inside = {
        f"app/{path.name}{'/' if path.is_dir() else ''}"
        for path in (ROOT / "app").iterdir()
        if path.name not in ("__init__.py", "__pycache__")
    }
    named = {name.replace("static/vendor/", "static/") for name in drawn}

    assert inside <= drawn
    assert {name for name in top if not name.endswith(".egg-info/")} - {"app/"} == named - inside


def test_decisions_when_written_then_they_are_numbered_short_and_listed() -> None:
    files = sorted(DECISIONS.glob("*.md"))
    listed = re.findall(r"decisions/(\d{4}-[a-z0-9-]+\.md)", (DOCS / "architecture.md").read_text())

    assert [path.name for path in files] == listed
    for number, path in enumerate(files, start=1):
        text = path.read_text()
        assert text.startswith(f"# {number:04}: "), path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is longer than a page"
        title = text.splitlines()[0].partition(": ")[2]
        assert f"| {title} |" in (DOCS / "architecture.md").read_text(), path.name
