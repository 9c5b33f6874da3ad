"""What a pasted credential may look like, and what it tells of itself. Nothing of it is ever repeated in words."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any

from app.core.errors import FieldError, InvalidInput

MAX_TOKEN_BYTES = 8192
_EXPIRES_SOON_S = 3 * 86_400.0
_BLANKS = " \t\r\n\f\v\u00a0\u200b\u200c\u200d\u2060\ufeff"  # what a copy from a page or a mail drags along
_QUOTES = frozenset("\"'`\u00ab\u00bb\u2018\u2019\u201c\u201d\u201e")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LATEST_SECONDS = 10**11  # later «seconds» are milliseconds: Cloudgene 2 writes `expire` so
_SECRET_KEY = re.compile(
    r"token(?!_url\b)|secret|passw|passphrase|credential|authorization|cookie|(?:api|private|access)[-_]?key",
    re.IGNORECASE,
)


def clean_token(pasted: str) -> str:
    """Give a pasted token without blanks around it. Raises InvalidInput for what no token can be."""
    token = pasted.strip(_BLANKS)
    if not token:
        raise _refuse("api_token", "is empty")
    if len(token.encode()) > MAX_TOKEN_BYTES:
        raise _refuse("api_token", f"is longer than {MAX_TOKEN_BYTES} bytes")
    if not _QUOTES.isdisjoint(token):
        raise _refuse("api_token", "holds quotation marks: paste the token alone")
    if any(char.isspace() or char in _BLANKS for char in token):
        raise _refuse("api_token", "holds blanks or line breaks: paste the token alone")
    if not all("!" <= char <= "~" for char in token):
        raise _refuse("api_token", "holds characters that no token has")
    return token


def clean_login(username: str, password: str) -> tuple[str, str]:
    """Give a user name without blanks around it, and the password as it is. Raises InvalidInput."""
    name = username.strip(_BLANKS)
    if not name or not name.isprintable() or len(name) > 200:
        raise _refuse("username", "must be 1 to 200 printable characters")
    if not password or not password.isprintable() or len(password.encode()) > MAX_TOKEN_BYTES:
        raise _refuse("password", f"must be printable, and at most {MAX_TOKEN_BYTES} bytes")
    return name, password


def token_expiry(token: str) -> datetime | None:
    """Give when a JWT says that it ends (RFC 7519 §4.1.4), without trusting it: its owner is reminded, nothing is decided."""
    claims = _claims(token)
    for name in ("exp", "expire"):
        value = claims.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if value > _LATEST_SECONDS else value
            try:
                return datetime.fromtimestamp(seconds, UTC)
            except (ValueError, OverflowError, OSError):
                return None
    return None


def token_warnings(token: str, expires_at: datetime | None, now: datetime) -> tuple[str, ...]:
    """Say what looks odd about a token that is accepted all the same."""
    warnings = []
    if not _claims(token) and not token.startswith("h3a_"):
        warnings.append(
            "This does not look like a token of such a service; test it before you rely on it"
        )
    if expires_at is not None:
        left_s = (expires_at - now).total_seconds()
        if left_s <= 0:
            warnings.append("This token has expired by its own word: make a new one at the service")
        elif left_s <= _EXPIRES_SOON_S:
            warnings.append("This token expires within three days by its own word")
    return tuple(warnings)


def secret_keys(config: object, path: str = "api_config") -> tuple[str, ...]:
    """Give the places in a configuration whose names say that they hold a secret."""
    found: list[str] = []
    if isinstance(config, dict):
        for name, value in config.items():
            where = f"{path}.{name}"
            found.extend([where] if _SECRET_KEY.search(str(name)) else secret_keys(value, where))
    elif isinstance(config, list):
        for value in config:
            found.extend(secret_keys(value, path))
    return tuple(found)


def _claims(token: str) -> dict[str, Any]:
    if not _JWT.fullmatch(token):
        return {}
    encoded = token.split(".")[1]
    try:
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        claims = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _refuse(field: str, message: str) -> InvalidInput:
    return InvalidInput(
        f"{field} {message}",
        code="invalid_credential",
        action="Copy it once more from the service's own page, and nothing around it.",
        errors=[FieldError(field, message)],
    )
