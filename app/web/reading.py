"""Reading what a request says: JSON bodies, queries, keys. What is refused is named, and never repeated."""

import re
from typing import Any

import msgspec
from aiohttp import web

from app.core.errors import FieldError, InvalidInput, TooLarge, UnsupportedMedia

MAX_JSON_BYTES = 1024 * 1024
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


async def read_json(request: web.Request, kind: Any) -> tuple[bytes, Any]:
    """Read a JSON body; give it (as it came) and as its type. Raises UnsupportedMedia, TooLarge, InvalidInput."""
    if request.content_type != "application/json":
        raise UnsupportedMedia(
            "The body must be JSON",
            action="Send it with the header «Content-Type: application/json».",
        )
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise TooLarge(f"The JSON body is larger than {MAX_JSON_BYTES} bytes")
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > MAX_JSON_BYTES:
            raise TooLarge(f"The JSON body is larger than {MAX_JSON_BYTES} bytes")
    try:
        value = msgspec.json.decode(raw)
        fits = not _SUSPECT.search(raw) or _is_storable(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("The body is not valid JSON", code="invalid_json") from None
    if not fits:
        raise InvalidInput(
            "The body holds a NUL character or a number beyond 64 bits", code="invalid_json"
        )
    return bytes(raw), _convert(value, kind, strict=True)


def read_key(request: web.Request) -> str | None:
    """Read the Idempotency-Key, if there is one. Raises InvalidInput for one that cannot be kept."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(
            "The Idempotency-Key is not 1 to 255 visible ASCII characters",
            code="invalid_idempotency_key",
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
    return InvalidInput(f"{where}: {message}", errors=[FieldError(where, message)])
