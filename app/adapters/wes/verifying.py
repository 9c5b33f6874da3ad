"""Asking a server about a credential: by whether it opens the list of runs."""

from app.adapters.base import CredentialRejected, CredentialReport
from app.adapters.wes.client import Client
from app.adapters.wes.listing import raise_for_list
from app.core.credentials import token_expiry


async def verify(client: Client) -> CredentialReport:
    """Give the server's word. Where none is needed, all is well; raises only where the server cannot be asked."""
    if client.kind == "none":
        return CredentialReport(valid=True)
    try:
        headers = await client.auth()
        answer = await client.call("GET", "runs", query={"page_size": "1"})
        raise_for_list(client, answer)
    except CredentialRejected as error:
        return CredentialReport(valid=False, message=error.reason)
    answer.object()
    token = next(iter(headers.values()), "").removeprefix("Bearer ")
    name = client.username if client.kind == "password" else None
    # The token that a password gave ends by itself and is renewed: nothing to remind its owner of.
    expires_at = token_expiry(token) if client.kind != "password" else None
    return CredentialReport(valid=True, account_name=name, expires_at=expires_at)
