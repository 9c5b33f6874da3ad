"""Answers of remote services: read up to a limit, and sorted into the error classes of `app.adapters.base`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec
from yarl import URL

from app.adapters import loose
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    Rejected,
    RemoteNotFound,
    ServiceUnavailable,
)
from app.adapters.text import clean

T = TypeVar("T")

MESSAGE_LIMIT = 500
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_RETRY_S = 86_400.0
_OFF_LOOP_FROM_BYTES = 128 * 1024
"""Answers above this size are parsed in a thread, so that the event loop stays responsive."""
_MESSAGE_KEYS = ("message", "msg", "detail", "err_msg", "title", "error")
"""Cloudgene has the first; WES servers one of the others (the specification, problem+json, Galaxy, Spring)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. `host` names the service in reasons; paths and queries never appear there."""

    status: int
    host: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """Give the parsed body. Raises `ServiceUnavailable` for HTML, nothing, or garbage."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            raise ServiceUnavailable(f"{self.host} {self._what_instead()}") from None

    def object(self) -> dict[str, object]:
        """Give the parsed body where it is a JSON object. Raises `ServiceUnavailable` otherwise."""
        parsed = self.json()
        if not isinstance(parsed, dict):
            raise ServiceUnavailable(f"{self.host} answered with JSON that makes no sense.")
        return parsed

    def message(self, secrets: Iterable[str] = ()) -> str:
        """Give the remote's own words: the JSON member `message` or one like it, else the body's beginning as text; or ``""``."""
        try:
            parsed = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            text = self.body[: 16 * MESSAGE_LIMIT].decode("utf-8", "replace")
            return clean(text, limit=MESSAGE_LIMIT, secrets=secrets)
        if isinstance(parsed, str):
            return clean(parsed, limit=MESSAGE_LIMIT, secrets=secrets)
        words = loose.as_dict(parsed)
        said = (words.get(name) for name in _MESSAGE_KEYS)
        found = next((text for text in said if isinstance(text, str) and text), None)
        return clean(found, limit=MESSAGE_LIMIT, secrets=secrets)

    def retry_after_s(self) -> float | None:
        """Give the `Retry-After` header in seconds (RFC 9110 §10.2.3: a number or a date), at most a day."""
        value = self.headers.get("Retry-After", "").strip()
        if not value:
            return None
        if value.isdecimal() and len(value) <= 9:
            return min(float(value), _LONGEST_RETRY_S)
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return min(max((when - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_RETRY_S)

    def _what_instead(self) -> str:
        start = self.body[:512].lstrip().lower()
        if not start:
            return "answered with nothing."
        if start.startswith((b"<", b"\xef\xbb\xbf<")):
            return "answered with a web page where data was expected."
        return "answered with something that is not JSON."


def raise_for_status(answer: Answer, secrets: Iterable[str] = ()) -> None:
    """Return for 2xx, else raise the class that fits the status.

    Raises:
        ServiceUnavailable: 1xx, 3xx, 408, 425, 429, 5xx; with the `Retry-After` wish and a maintenance mark.
        CredentialRejected: 401, 403, 407.
        RemoteNotFound: 404, 410.
        Rejected: every other 4xx.
    """
    if not 200 <= answer.status < 300:
        raise error_of(answer, secrets)


def error_of(answer: Answer, secrets: Iterable[str] = ()) -> AdapterError:
    """Give the error that a status other than 2xx stands for, with the remote's own words in its reason."""
    status, host, said = answer.status, answer.host, answer.message(secrets)
    if status in REDIRECTS:
        return ServiceUnavailable(redirect_reason(host, answer.headers.get("Location", "")))
    if status in {401, 403, 407}:
        return CredentialRejected(_with_words(f"{host} did not accept the credential", said))
    if status in {404, 410}:
        return RemoteNotFound(_with_words(f"{host} does not know this", said))
    if status in {408, 425, 429} or not 400 <= status < 500:
        maintenance = status == 503 and "maintenance" in said.lower()
        what = "is under maintenance" if maintenance else f"answered with an error ({status})"
        return ServiceUnavailable(
            _with_words(f"{host} {what}", said),
            maintenance=maintenance,
            retry_after_s=answer.retry_after_s(),
        )
    return Rejected(_with_words(f"{host} refused the request ({status})", said))


def redirect_reason(host: str, location: str) -> str:
    """Say where a service redirects to, naming hosts only: paths and queries may hold secrets."""
    try:
        other = URL(location).host if location else None
    except ValueError:
        other = None
    if other is None or other == host:
        return f"{host} redirects elsewhere: an administrator should check the service's address."
    return f"{host} redirects to {clean(other, limit=255)}: an administrator should check the service's address."


async def off_loop(size_bytes: int, function: Callable[[], T]) -> T:
    """Run a pure function: at once for small input, in a thread for input of a size that would hold up the loop."""
    if size_bytes <= _OFF_LOOP_FROM_BYTES:
        return function()
    return await asyncio.to_thread(function)


def _with_words(ours: str, theirs: str) -> str:
    return f"{ours}: {theirs}" if theirs else f"{ours}."
