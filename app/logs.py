"""Logging: structlog for us, the standard library's loggers (aiohttp, arq, asyncio) through the same steps, and redaction of both.

Everything that leaves by a log went through `redact_event`: names that hold secrets lose their values, and text (messages,
exceptions with their tracebacks, reprs of objects) is searched for what looks like a secret. `redact` alone serves text that is
stored or shown, such as the messages of a remote service.
"""

import logging
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
_MAX_DEPTH = 6
_MAX_TEXT = 64 * 1024
_QUIET = ("aiohttp.access", "aiosmtplib", "arq", "mail.log")
"""Loggers that tell at INFO what we tell ourselves."""

# Every repetition below is bounded or cannot overlap what follows it, so that hostile text costs linear time.
_HARMLESS = r"(?!(?:true|false|null|none)\b)"
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_BARE = r"\\?[\"']?[^\s&\"'<>\\]+"
_NAMES = (
    r"(?:passwords?|passwd|passphrase|secrets?|tokens?|jwt|signature|credential"
    r"|(?:api|access|private|secret|signing|account)[-_ ]?keys?)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(?:-----END)?", REDACTED),
        # JSON Web Tokens (RFC 7519): base64url of '{"' is eyJ; and what Cloudgene hands out to H3Africa users
        (r"(?<![\w-])eyJ[\w-]{4,}(?:\.[\w-]*){1,4}", REDACTED),
        (r"\bh3a_[\w.-]+", REDACTED),
        # the passwords that we make for results (app.usecases.creation), however a service words what it says of one
        (r"(?<![\w-])fi-[a-z0-9]{24}(?![a-z0-9])", REDACTED),
        # bcrypt
        (r"\$2[abxy]\$\d\d\$[./\w]{20,}", REDACTED),
        # credentials of an address: scheme://user:password@host
        (r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]{1,256}@", rf"\1{REDACTED}@"),
        # header lines, alone or in the repr of a mapping
        (
            rf"\b((?:proxy-)?authorization|(?:set-)?cookie|x-auth-token)(\\?[\"']?\s{{0,4}}[:=]\s{{0,4}})(?:{_QUOTED}|[^\r\n\"']+)",
            rf"\1\2{REDACTED}",
        ),
        (r"\b(bearer|basic)(\s{1,4})[\w.~+/=-]{6,}", rf"\1\2{REDACTED}"),
        # Cloudgene: whoever knows the hash of a result may fetch it (/share/results/HASH/NAME, /downloads/JOB/HASH/NAME)
        (r"(/share/results/)[^/\s\"'<>?]+", rf"\1{REDACTED}"),
        (r"(/downloads/[\w.-]{1,100}/)[^/\s\"'<>?]+", rf"\1{REDACTED}"),
        # our own signed and one-time links
        (r"(/files/(?:download|remote|push)/)[^/\s\"'<>?]+", rf"\1{REDACTED}"),
        (r"(/(?:setup|[a-z-]{0,20}confirm|[a-z-]{0,20}reset)/)[\w-]{16,}", rf"\1{REDACTED}"),
        # the query of signed addresses (S3, GCS, Azure) and of one-time links
        (
            r"([?&][\w.-]{0,48}(?:sig|signature|token|secret|passw|credential|key|auth|code)[\w.-]{0,48}=)[^&\s\"'<>#]+",
            rf"\1{REDACTED}",
        ),
        # Cloudgene, when it sends no mail: «encrypted with password <b>…</b>»
        (r"(password:?\s{0,4}<b>\s{0,4})[^<\s]+", rf"\1{REDACTED}"),
        (
            r"((?:encrypted|protected|decrypted|opened) with (?:the )?password\s{1,4})[^\s<]+",
            rf"\1{REDACTED}",
        ),
        (
            rf"(password[^\n:=.;,<>\"']{{1,60}}[:=]\s{{0,4}}(?:<b>)?)(?:{_QUOTED}|[^\s<]+)",
            rf"\1{REDACTED}",
        ),
        # name: value, name=value, "name": "value"
        (
            rf"({_NAMES})(\\?[\"']?\s{{0,4}}[:=]\s{{0,4}}){_HARMLESS}(?!\[redacted)(?:{_QUOTED}|{_BARE})",
            rf"\1\2{REDACTED}",
        ),
    )
)

# What every rule needs to fit anything; most lines have none of it and are done after one look.
_HINT = re.compile(
    r"key|eyj|h3a_|fi-|\$2|@|auth|cookie|bearer|basic|/share/|/downloads/|/download/|/remote/|/push/|/setup/|confirm/|reset/"
    r"|[?&]|pass|secret|token|jwt|signature|credential",
    re.IGNORECASE,
)

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|jwt|authorization|cookie|credential|signature"
    r"|(?:api|access|private|signing)[-_]?key",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(r"(?:_id|_ids|_kind|_type|_policy|_version|_count)$", re.IGNORECASE)


def redact(text: str) -> str:
    """Give the text without what looks like a secret: tokens, passwords, authorization, links that need no sign-in.

    It rather takes too much than too little. Linear in the length of the text.
    """
    if _HINT.search(text) is None:
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_value(value: object, depth: int = 0) -> Any:
    """Give a value as a log may show it; structures are walked to a limited depth, bytes are never shown."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…")
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            redact(str(name)): _redact_named(str(name), item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, Sequence | AbstractSet):
        return [redact_value(item, depth + 1) for item in value]
    try:
        return redact(str(value))
    except Exception:  # noqa: BLE001 - a log line may not fail because of what it shows
        return f"<{type(value).__name__} that cannot be shown>"


def _redact_named(name: str, value: object, depth: int) -> Any:
    if _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name):
        return value if value is None or isinstance(value, bool | int | float) else REDACTED
    return redact_value(value, depth)


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact a whole event: the step that stands last before the line is written."""
    return {
        name: value if name.startswith("_") else _redact_named(name, value, 0)
        for name, value in event.items()
    }


def _make_visible(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, which on a terminal could forge lines or worse; JSON escapes them by itself."""
    for name, value in event.items():
        if isinstance(value, str) and name not in ("exception", "stack"):
            event[name] = "".join(
                char if char.isprintable() else char.encode("unicode_escape").decode()
                for char in value
            )
    return event


class _Handler(logging.StreamHandler[TextIO]):
    """A stream handler that never shows the arguments of a line it could not format."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the base class's
        kind = sys.exc_info()[0]
        name = kind.__name__ if kind else "error"
        try:
            self.stream.write(f"log line of {record.name} lost: {name}\n")
        except (OSError, ValueError):
            return


def configure_logging(
    log_format: str = "auto", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send all logging to `stream` (standard error when absent), as JSON lines or for a terminal.

    `log_format` is `json`, `console`, or `auto` (console on a terminal). Uncaught exceptions of the program and of
    threads are logged too, so that they are redacted like everything else.
    Raises ValueError for an unknown format or level.
    """
    target = stream if stream is not None else sys.stderr
    if log_format not in ("auto", "json", "console"):
        raise ValueError("the log format is not auto, json or console")
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError("the log level is not debug, info, warning or error")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    handler = _Handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(
                    console=log_format == "console" or (log_format == "auto" and target.isatty())
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *names: logging.getLogger(names[0] if names else "app"),
        cache_logger_on_first_use=False,
    )
    _catch_the_uncaught()


def _renderers(*, console: bool) -> list[Processor]:
    if console:
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [_make_visible, plain]
    return [structlog.processors.JSONRenderer(ensure_ascii=False)]


def _catch_the_uncaught() -> None:
    """Python prints uncaught exceptions as they are, secrets in their messages included: log them instead."""

    def log_crash(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        structlog.get_logger().critical("process.crashed", exc_info=(kind, error, trace))

    def log_thread_crash(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            error = (args.exc_type, args.exc_value, args.exc_traceback)
            structlog.get_logger().error("thread.crashed", exc_info=error)

    sys.excepthook = log_crash
    threading.excepthook = log_thread_crash
