"""What to tell a person when a service does not do what was asked of it: adapters' errors in the platform's own words."""

from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DownloadsExhausted,
    QuotaFull,
    Rejected,
    RemoteNotFound,
    ServiceUnavailable,
    UntrustedAddress,
)
from app.core.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable

_LATER = "Try again later."


def as_app_error(service_name: str, error: AdapterError) -> AppError:
    """Give what to tell a person; every class of adapters' errors has an answer."""
    reason = error.reason.rstrip(".")
    match error:
        case CredentialRejected():
            return InvalidInput(
                f"{service_name} authentication failed: {reason}",
                code="credential_rejected",
                action="Update the credential at Settings → Service Credentials.",
            )
        case UntrustedAddress():
            return InvalidInput(
                f"{service_name} must not be reached from here: {reason}",
                code="untrusted_address",
                action="An administrator has to correct the service's base URL, or to allow its network.",
            )
        case Rejected():
            return InvalidInput(f"{service_name} refused this: {reason}", code="service_refused")
        case RemoteNotFound():
            return NotFound(f"{service_name} does not know this: {reason}", code="remote_not_found")
        case DownloadsExhausted():
            return Conflict(
                f"{service_name} hands this out no more: {reason}", code="downloads_exhausted"
            )
        case QuotaFull():
            return Unavailable(
                f"{service_name} has no room for this account: {reason}",
                code="service_quota_full",
                action=_LATER,
            )
        case ServiceUnavailable(maintenance=True):
            return Unavailable(
                f"{service_name} is under maintenance", code="service_maintenance", action=_LATER
            )
        case _:
            return Unavailable(
                f"{service_name} is not available: {reason}",
                code="service_unavailable",
                action=_LATER,
            )
