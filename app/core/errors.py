"""The error tree of the platform: one class per decision that a caller takes.

AppError                      anything a person may be told; carries a code and a way out
├── InvalidInput              the request can never succeed as it is                      400
│   ├── NoCredentials         a credential for the service must be stored first           400
│   └── BrokenUpload          the body ended early or is not what it says                 400
├── NotAuthenticated          nobody is signed in, or the token is not (any longer) good  401
├── Forbidden                 signed in, but this person may never do this                403
├── NotFound                  there is no such thing, or it belongs to somebody else      404
├── Conflict                  the thing is not in a state that allows this                409
├── IdempotencyKeyReused      the key stood on another request                            422
├── TooLarge                  a body, field, or file is over its limit                    413
├── UnsupportedMedia          the content type is not one that is read here               415
├── RateLimited               too many requests; carries `retry_after_s`                  429
├── QuotaExceeded             a limit of the user's own (bytes stored, open jobs)         403
├── Unavailable               something we need is away for now                           503
└── StorageFull               no room on the disk                                         507

Core knows codes only; `app.web.problem` alone maps the classes to HTTP statuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field. `message` never repeats the rejected value."""

    field: str
    message: str


class AppError(Exception):
    """Base of everything that may be told to a person.

    `code` is stable and machine-readable, `message` is plain English, `action` says what to do next (absent: the class's own).
    `extra` joins the top level of the answer (ids and names only, never a rejected value or a secret).
    """

    default_code: ClassVar[str] = "error"
    default_action: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        action: str | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.action = action or self.default_action
        self.errors = tuple(errors)
        self.extra = dict(extra or {})


class InvalidInput(AppError):
    """Raised when a request can never succeed as it is."""

    default_code = "invalid_input"


class NoCredentials(InvalidInput):
    """Raised when a service asks for a credential and the user has stored none."""

    default_code = "no_credentials"


class BrokenUpload(InvalidInput):
    """Raised when an upload ended early or its framing is wrong."""

    default_code = "broken_upload"
    default_action = (
        "Send it again. If that does not help, see that the client does not write the body itself."
    )


class NotAuthenticated(AppError):
    """Raised when nobody is signed in, or the token is expired, revoked, or forged."""

    default_code = "not_authenticated"


class Forbidden(AppError):
    """Raised when the signed-in person may never do this."""

    default_code = "forbidden"


class NotFound(AppError):
    """Raised for a thing that does not exist or belongs to somebody else: the two look the same."""

    default_code = "not_found"


class Conflict(AppError):
    """Raised when the thing is not in a state that allows the request."""

    default_code = "conflict"


class IdempotencyKeyReused(AppError):
    """Raised when an Idempotency-Key comes back with a request that is not the one it first stood on."""

    default_code = "idempotency_key_reused"


class TooLarge(AppError):
    """Raised when a body, a field, or a file is over its limit."""

    default_code = "too_large"
    default_action = "Send less at once, or ask the administrator for a higher limit."


class UnsupportedMedia(AppError):
    """Raised when the content type is not one that is read here."""

    default_code = "unsupported_media_type"


class RateLimited(AppError):
    """Raised when somebody asks too often. `retry_after_s` is in seconds."""

    default_code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(message, code=code, action=f"Wait {retry_after_s} seconds and try again.")
        self.retry_after_s = retry_after_s


class QuotaExceeded(AppError):
    """Raised when a limit of the user's own is reached."""

    default_code = "quota_exceeded"


class Unavailable(AppError):
    """Raised when something we need is away for now; the same request may succeed later."""

    default_code = "unavailable"
    retryable = True


class StorageFull(AppError):
    """Raised when the disk has no room. Nothing of the file is kept."""

    default_code = "storage_full"
    retryable = True
