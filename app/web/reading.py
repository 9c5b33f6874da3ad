"""Reading what a request says: JSON bodies, queries, keys. What is refused is named, and never repeated."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web
from multidict import MultiDict, MultiDictProxy

from app.core.errors import BrokenUpload, FieldError, InvalidInput, TooLarge, UnsupportedMedia

MAX_JSON_BYTES = 256 * 1024
"""The largest that anything here takes is a service's configuration, some 20 kB. What is larger only costs time to read."""
JSON_TIMEOUT_S = 60.0
"""Within this time the whole of a JSON body arrives, or it is given up."""
IDEMPOTENCY_HEADER = "Idempotency-Key"
_SUSPECT = re.compile(rb"\\u0000|\d{19}")
"""What may be a NUL or a number too large for PostgreSQL: only then the whole value is looked through."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def read_query(request: web.Request, kind: Any) -> Any:
    """Read the query into its Struct. Raises InvalidInput naming the parameter, never its value."""
    known = {item.encode_name for item in msgspec.structs.fields(kind)}
    given = {name: value for name, value in request.query.items() if name in known and value != ""}
    for name, value in given.items():
        if not is_text(value):
            raise _invalid(name, "holds a character that is not text")
    return _convert(given, kind, strict=False)


def ensure_uncompressed(request: web.Request) -> None:
    """Raise UnsupportedMedia for a compressed body (RFC 9110 §8.4): the server below does not unpack any."""
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia(
            "A compressed body is not read here",
            action="Send it without «Content-Encoding». Files that are compressed themselves are fine.",
        )


async def read_json(request: web.Request, kind: Any) -> tuple[bytes, Any]:
    """Read a JSON body; give it (as it came) and as its type. Raises UnsupportedMedia, TooLarge, InvalidInput, BrokenUpload."""
    if request.content_type != "application/json":
        raise UnsupportedMedia(
            "The body must be JSON",
            action="Send it with the header «Content-Type: application/json».",
        )
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise _too_large()
    raw = await _read_body(request)
    try:
        value = msgspec.json.decode(raw)
        fits = not _SUSPECT.search(raw) or _is_storable(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(
            "The body is not valid JSON",
            code="invalid_json",
            action="Send one JSON value in UTF-8, not too deeply nested.",
        ) from None
    if not fits:
        raise InvalidInput(
            "The body holds a NUL character or a number beyond 64 bits",
            code="invalid_json",
            action="Leave it out: nothing here needs such a value.",
        )
    return bytes(raw), _convert(value, kind, strict=True)


FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 1000


async def read_fields(request: web.Request) -> MultiDictProxy[str]:
    """Read the fields of a form without files (WHATWG URL, §5.1). Raises UnsupportedMedia, TooLarge, InvalidInput, BrokenUpload."""
    if request.content_type not in (
        FORM_TYPE,
        "application/octet-stream",
    ):  # the latter: no type told
        raise UnsupportedMedia("This takes a form", action="Send it from its page.")
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise _too_large()
    raw = await _read_body(request)
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:  # bytes that are no text, or too many fields
        raise InvalidInput("The form cannot be read", code="invalid_form") from None
    return MultiDictProxy(MultiDict(pairs))


async def _read_body(request: web.Request) -> bytearray:
    raw = bytearray()
    try:
        async with asyncio.timeout(JSON_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > MAX_JSON_BYTES:
                    raise _too_large()
    except TimeoutError:
        late = f"The body did not arrive within {JSON_TIMEOUT_S:g} seconds"
        raise BrokenUpload(late, action="Send it again.") from None
    return raw


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {MAX_JSON_BYTES} bytes")


def read_key(request: web.Request) -> str | None:
    """Read the Idempotency-Key, if there is one. Raises InvalidInput for one that cannot be kept."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(
            "The Idempotency-Key is not 1 to 255 visible ASCII characters",
            code="invalid_idempotency_key",
            action="Use what is new for each request and has no blanks, such as a UUID.",
        )
    return key


def is_text(value: str) -> bool:
    """PostgreSQL stores no NUL; lone surrogates are not text at all."""
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        return all(_is_storable(name) and _is_storable(item) for name, item in value.items())
    if isinstance(value, list):
        return all(_is_storable(item) for item in value)
    return True


def _convert(value: Any, kind: Any, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        where = path.strip("`").removeprefix("$").lstrip(".") or "body"
        if message.startswith("Invalid enum value"):  # the one message that repeats the value
            message = "Not one of the values allowed here"
        raise _invalid(where, message) from None


def _invalid(where: str, message: str) -> InvalidInput:
    return InvalidInput(
        f"{where}: {message}",
        action="GET /docs describes what this call takes.",
        errors=[FieldError(where, message)],
    )
