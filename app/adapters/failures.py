"""What can go wrong on the way to a service, in words that a person may read.

aiohttp's own texts are never used: they hold whole URLs, and with them ids and secret result links.
"""

import ssl

import aiohttp
from yarl import URL

from app.adapters.answers import redirect_reason
from app.adapters.base import ServiceUnavailable, UntrustedAddress
from app.adapters.guard import is_refusal

TROUBLE = (aiohttp.ClientError, TimeoutError, OSError)
"""What aiohttp raises when a remote or the network misbehaves."""


class NotSent(ServiceUnavailable):
    """Raised when nothing of a request was sent: no connection came about."""


class BrokenOffError(aiohttp.ClientError):
    """Raised in place of aiohttp's errors of a connection that broke, as those make it repeat a GET."""


async def unrepeated(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Be a client middleware under which no request is repeated, whatever its method."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenOffError from error


def explained(error: BaseException, host: str) -> ServiceUnavailable | UntrustedAddress:
    """Give the error of ours that an aiohttp error stands for. `NotSent` only where it is certain."""
    if is_refusal(error):
        return UntrustedAddress(refused(host))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NotSent(f"{host} cannot be found: no such name, or the name service is away.")
    if isinstance(error, aiohttp.ClientSSLError):
        return NotSent(f"No secure connection to {host} is possible.")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotSent(f"{host} cannot be reached.")
    if isinstance(error, aiohttp.InvalidURL):
        return NotSent(f"{host} has an address that makes no sense.")
    if isinstance(error, TimeoutError):
        return ServiceUnavailable(f"{host} did not answer in time.")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ServiceUnavailable(f"{host} broke off its answer.")
    if isinstance(error, aiohttp.ClientResponseError):
        return ServiceUnavailable(f"{host} answered with something that is not HTTP.")
    if isinstance(error, ssl.SSLError):
        return ServiceUnavailable(f"The secure connection to {host} broke.")
    return ServiceUnavailable(f"{host} broke the connection off.")


def refused(host: str) -> str:
    """Say that the address guard refused a host."""
    return (
        f"{host} has a private or otherwise reserved network address. "
        "An administrator can allow networks with FIP_ALLOWED_NETWORKS."
    )


def next_hop(current: URL, location: str, host: str) -> URL:
    """Give where a download goes on. The query is kept as it is: it may be signed. Raises `ServiceUnavailable`."""
    try:
        target = current.join(URL(location, encoded=True))
    except ValueError:
        target = URL()
    if not location or not target.host:
        raise ServiceUnavailable(redirect_reason(host, ""))
    return target
