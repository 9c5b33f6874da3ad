"""Making remote text fit to be shown and stored: plain, short, and without secrets.

Remote messages are HTML-ish and may echo anything: file content, whole log lines, the password of the results. They are
stripped of markup and control characters, cut to a limit, and redacted, in that spirit: rather too much than too little.
"""

import html
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

REDACTED = "[redacted]"

_RAW_LIMIT = 32 * 1024
"""Characters of one message that are looked at; a real one has a few hundred. Bounds the parser's work."""

_MIN_SECRET = 4
_TAG = re.compile(
    r"<(?:(?P<comment>!--)|(?P<closing>/?)(?P<name>[a-zA-Z][a-zA-Z0-9:-]{0,30})\b[^<>]*>|[!?][^<>]*>)"
)
_CELLS = frozenset({"td", "th"})
_SILENT = frozenset({"script", "style", "head", "template"})
_BREAKS = frozenset(
    {"br", "p", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
    | {"pre", "section", "title"}
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A JSON Web Token, also one that was cut: the API tokens of Cloudgene.
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), REDACTED),
    (re.compile(r"\bh3a_[\w-]{6,}"), REDACTED),
    # The passwords that the platform makes for results, in whatever words.
    (re.compile(r"(?<![\w-])fi-[A-Za-z0-9]{24}(?![A-Za-z0-9])"), REDACTED),
    # «password: x», «with the following password: x», «password is x», «"password":"x"», «password -> x».
    # The value is taken up to the next blank, as random passwords hold any symbol.
    (
        re.compile(
            r"(password|passwd|passphrase|passcode|\bpwd)\b([^\n:=]{0,60}?(?:[:=]|->|\bis\b)[\s:=]*)"
            r"[\"']?(?!\[redacted\])\S+",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    (
        re.compile(
            r"\b((?:x-)?(?:api|auth|access|secret)?[-_ ]?(?:token|secret|key))([\"']?\s{0,4}[:=]\s{0,4})"
            r"[\"']?(?!\[redacted\])\S{8,}",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # 7z a -tzip -pSECRET, as a log may print the command that packed the results.
    (re.compile(r"(\b7z\w{0,2}\b[^\n]{0,200}?\s-p)\S+"), rf"\1{REDACTED}"),
    # The hash in /share/results/<hash>/<name> is all that protects a result file.
    (
        re.compile(r"(/(?:share/results|downloads/[^/\s]{1,80}|browse|get)/)[^\s\"'<>]+"),
        rf"\1{REDACTED}",
    ),
    # Our own signed links, by which a service fetches its input and pushes its results.
    (re.compile(r"(/files/(?:remote|push|download)/)[^/\s\"'<>?]+"), rf"\1{REDACTED}"),
    (re.compile(r"\b[0-9a-fA-F]{40,}\b"), REDACTED),
    # User names and query strings of addresses: signatures of object stores travel there.
    (re.compile(r"(https?://)[^/\s@]{1,200}@"), r"\1"),
    (re.compile(r"(https?://[^\s?\"'<>]{1,2000})\?[^\s\"'<>]+"), rf"\1?{REDACTED}"),
)


def clean(raw: object, *, limit: int = 2000, secrets: Iterable[str] = ()) -> str:
    """Give remote text as plain text of at most `limit` characters: no markup, no control characters, no secrets.

    Line breaks stay. `secrets` are exact strings that must not appear (the token, the archive password).
    """
    if not isinstance(raw, str):
        return ""
    text = _without_known(raw, tuple(secrets))[:_RAW_LIMIT]
    if "<" in text or "&" in text:
        text = _without_markup(text)
    return _cut(redact(_tidy(text), secrets), limit)


def clean_line(raw: object, *, limit: int = 200, secrets: Iterable[str] = ()) -> str:
    """Give remote text as one line: for names, titles, and labels."""
    return _cut(" ".join(clean(raw, limit=_RAW_LIMIT, secrets=secrets).split()), limit)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace known secrets, and whatever looks like one: tokens, passwords, result links, signed addresses."""
    text = _without_known(text, tuple(secrets))
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _without_known(text: str, secrets: tuple[str, ...]) -> str:
    """Replace exact secrets, also as they look HTML-escaped or percent-encoded. Done before any cut could halve one."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET:
            for form in {secret, html.escape(secret), quote(secret, safe="")}:
                text = text.replace(form, REDACTED)
    return text


def _tidy(text: str) -> str:
    """Drop control, format and surrogate characters (no database takes NUL; bidi marks lie); collapse blanks."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").replace("\xa0", " ")
    if not text.isascii() or not text.replace("\n", " ").isprintable():
        text = "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _without_markup(text: str) -> str:
    """Give the text of HTML, with a line break where an element begins a line.

    Not `html.parser`: on unclosed tags its work grows with the square of the text, and remotes choose the text. Here
    every pattern stops at the next `<`, and what is never closed ends the text.
    """
    parts: list[str] = []
    lowered = text.lower() if text.isascii() else text
    place = 0
    while (tag := _TAG.search(text, place)) is not None:
        parts.append(text[place : tag.start()])
        place = tag.end()
        name = (tag["name"] or "").lower()
        if tag["comment"]:
            place = _find(lowered, "-->", place) + 3
        elif name in _SILENT and not tag["closing"]:
            place = _find(lowered, f"</{name}", place)
        elif name in _BREAKS:
            parts.append("\n")
        elif name in _CELLS:
            parts.append(" ")
    parts.append(text[place:])
    return html.unescape("".join(parts))


def _find(text: str, end: str, place: int) -> int:
    found = text.find(end, place)
    return len(text) if found < 0 else found
