"""What names, passwords and addresses of accounts may look like. Refusals never repeat what was refused."""

import re

from app.core.errors import FieldError, InvalidInput
from app.core.names import one_line

MIN_PASSWORD_CHARS = 8  # NIST SP 800-63B §5.1.1.2
MAX_PASSWORD_BYTES = 72  # bcrypt looks at no more, and bcrypt 5 refuses it
MAX_LINE_CHARS = 200
MAX_EMAIL_CHARS = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def check_username(username: str) -> str:
    """Give the name without blanks around it. Raises InvalidInput."""
    name = username.strip()
    if not _USERNAME.fullmatch(name):
        raise _refuse(
            "username",
            "must be 1 to 64 letters, digits, and . _ @ + - (beginning with a letter or digit)",
        )
    return name


def check_new_password(password: str, username: str, field: str = "password") -> None:
    """Raise InvalidInput for a password that is too short, too long, or the name itself."""
    if len(password) < MIN_PASSWORD_CHARS:
        raise _refuse(field, f"must have at least {MIN_PASSWORD_CHARS} characters")
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        raise _refuse(field, f"must have at most {MAX_PASSWORD_BYTES} bytes")
    if password.casefold() == username.casefold():
        raise _refuse(field, "must not be the user name")


def check_email(email: str) -> str:
    """Give the address without blanks around it (the form of HTML's e-mail field). Raises InvalidInput."""
    address = email.strip()
    if len(address) > MAX_EMAIL_CHARS or not _EMAIL.fullmatch(address):
        raise _refuse("email", "is not an e-mail address")
    return address


def clean_line(text: str | None, field: str) -> str | None:
    """Give a short text as one line, None for an empty one. Raises InvalidInput when it is too long."""
    line = one_line(text or "")
    if len(line) > MAX_LINE_CHARS:
        raise _refuse(field, f"must have at most {MAX_LINE_CHARS} characters")
    return line or None


def _refuse(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}", errors=[FieldError(field, message)])
