"""Asking the server about a token."""

from app.adapters.base import (
    CredentialRejected,
    CredentialReport,
    RemoteNotFound,
    ServiceUnavailable,
)
from app.adapters.michigan.client import Client
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.michigan.statuses import is_job_id as is_plain
from app.adapters.michigan.tokens import account_of, expiry_of, payload_of, report_of


async def verify(client: Client) -> CredentialReport:
    """Ask `tokens/verify`, which is open to everybody and always answers 200; where that fails, the account's profile.

    A token that never could be one, or that is refused, is a report; raises only where the server cannot be asked.
    """
    try:
        client.auth()
    except CredentialRejected as error:
        return CredentialReport(valid=False, message=error.reason)
    token = client.token or ""
    answer = await client.post_form("tokens", "verify", form={"token": token})
    if answer.status == 200:
        try:
            report = report_of(answer.object(), token)
        except ServiceUnavailable:
            report = None
        if report is not None:
            return report
    elif not 400 <= answer.status < 500 or answer.status == 429:
        client.check(answer)
    return await _profile_report(client, token)


async def _profile_report(client: Client, token: str) -> CredentialReport:
    """Judge the token by whether it opens the profile. The server ignores the name in the path, but logs it."""
    name = str(payload_of(token).get("username") or "")
    try:
        answer = await client.call("users", name if is_plain(name) else "me", "profile")
    except CredentialRejected as error:
        return CredentialReport(valid=False, message=error.reason)
    except RemoteNotFound as error:
        raise NotSpoken(error.reason) from error
    account = account_of(answer.object(), token)
    if account is None:
        raise NotSpoken(f"{client.host} answered with something that is not a profile.")
    return CredentialReport(valid=True, account_name=account, expires_at=expiry_of(token))
