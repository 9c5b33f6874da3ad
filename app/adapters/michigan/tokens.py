"""Reading API tokens without trusting them, and the server's word about one.

An API token of Cloudgene 3 is a JWT with `exp` in epoch seconds; generation 2 has `expire` in milliseconds. Nothing here
checks a signature: the figure is shown to its owner as a reminder, no decision rests on it.
"""

import base64
import binascii
from datetime import datetime

import msgspec

from app.adapters import loose
from app.adapters.base import CredentialRejected, CredentialReport
from app.adapters.text import clean, clean_line

_LONGEST = 8192


def header_value(token: str | None, host: str) -> str:
    """Give a token fit for a header. Raises `CredentialRejected` if there is none or it can never be one."""
    if not token:
        raise CredentialRejected(f"{host} asks for an API token and none is stored.")
    if len(token) > _LONGEST or any(not "!" <= c <= "~" for c in token):
        raise CredentialRejected("The stored API token holds characters that no token has.")
    return token


def payload_of(token: str) -> dict[str, object]:
    """Give the claims of a JWT, unverified; empty for anything else."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST:
        return {}
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return loose.as_dict(msgspec.json.decode(raw))
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        return {}


def expiry_of(token: str) -> datetime | None:
    """Give when a token says that it ends."""
    claims = payload_of(token)
    return loose.as_time(claims.get("exp")) or loose.as_time(claims.get("expire"))


def report_of(said: dict[str, object], token: str) -> CredentialReport | None:
    """Read the answer of `tokens/verify`; None where it says nothing about validity.

    Of an invalid token `expire` is only the server's clock and not shown. Of a valid one `message` is an
    unformatted template in Cloudgene 3 (`ApiTokenVerifier`), and not shown either.
    """
    valid = said.get("valid")
    if not isinstance(valid, bool):
        return None
    if not valid:
        words = clean(said.get("message") or said.get("error"), limit=300, secrets=(token,))
        return CredentialReport(
            valid=False, message=words or "The service says that the token is not valid."
        )
    return CredentialReport(
        valid=True,
        account_name=account_of(said, token),
        expires_at=loose.as_time(said.get("expire")) or expiry_of(token),
    )


def account_of(said: dict[str, object], token: str) -> str | None:
    """Give the account's name as the service tells it, which is kept and shown: never the token itself."""
    names = (clean_line(said.get(key), limit=100, secrets=(token,)) for key in ("username", "name"))
    return next((name for name in names if name), None)
