"""Finding a failure's reason in a job's log. Pure.

A job that fails before its pipeline starts (a wrong panel, for one) has no steps and no messages; its reason stands only in
the log (cloudgene3 `WorkflowEngine.submit`). That log also prints all inputs with the password of the results
(`AbstractJob.run`), so single lines are picked out, and never one that speaks of a password.
"""

import re
from collections.abc import Sequence

from app.adapters.text import clean

_TELLING = re.compile(
    r"\b(\w*error|\w*exception|failed|failure|not installed|permissions?|not found|denied|invalid|missing|no space)\b",
    re.IGNORECASE,
)
_STAMP = re.compile(
    r"^\[?\d{2,4}[-/.]\d{2}[-/.]\d{2,4}[ T]\d{2}:\d{2}(:\d{2})?([.,]\d+)?\]?\s*[-:]?\s*"
)
_NEVER = re.compile(r"pass(word|wd|phrase)|token|secret", re.IGNORECASE)
_MAX_LINES = 10
_MAX_LINE_CHARS = 500


def reason_in(log: str, *, secrets: Sequence[str] = ()) -> str | None:
    """Give the last telling lines of a log as plain text, or None."""
    found: list[str] = []
    for raw in reversed(log.splitlines()):
        line = _STAMP.sub("", raw.strip())[:_MAX_LINE_CHARS]
        if line.startswith("at ") or _NEVER.search(line) or not _TELLING.search(line):
            continue
        text = clean(line, limit=_MAX_LINE_CHARS, secrets=secrets)
        if text and text not in found:
            found.append(text)
        if len(found) == _MAX_LINES:
            break
    return "\n".join(reversed(found)) or None
