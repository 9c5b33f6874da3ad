"""The documents, cut into what guards look at."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"


def documents() -> list[Path]:
    """Give all documents."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def section(name: str, title: str) -> str:
    """Give what stands under a heading, sub-headings included, up to the next one of its level."""
    path = ROOT / name if (ROOT / name).exists() else DOCS / name
    found = re.search(rf"^(#+) {re.escape(title)}$", path.read_text(), re.MULTILINE)
    assert found is not None, f"{name} has no section «{title}»"
    rest = path.read_text()[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(path: Path, language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def command_lines(path: Path) -> Iterator[list[str]]:
    """Give the arguments of each `python -m app …` in a document's shell blocks."""
    for block in blocks(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            _, called, rest = line.partition("python -m app ")
            if called:
                yield shlex.split(re.split(r" #|[|;>&]", rest)[0])
