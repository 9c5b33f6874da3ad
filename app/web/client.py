"""Whose request this is, as far as its connection and headers tell: the client's address, and whether another site sent it."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from app.settings import Network

FORWARDED_FOR = "X-Forwarded-For"
_UNKNOWN = "unknown"


def client_address(request: web.Request, trusted: Sequence[Network]) -> str:
    """Give the address of the nearest party that is not one of our proxies.

    `X-Forwarded-For` is read from the right, and only as long as each hop is a trusted proxy: what stands further left could
    have been written by anybody.
    """
    address = request.remote or _UNKNOWN
    if not trusted:
        return address
    hops = ",".join(request.headers.getall(FORWARDED_FOR, [])).split(",")
    for hop in reversed(hops):
        if not _is_trusted(address, trusted):
            return address
        try:
            address = str(ip_address(hop.strip()))
        except ValueError:
            return address
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:  # a Unix socket: whoever reaches it was let in by the file system
        return address == _UNKNOWN
    return any(parsed.version == network.version and parsed in network for network in trusted)


def is_cross_site(request: web.Request, own_origins: Iterable[str]) -> bool:
    """Tell whether a browser sent this on behalf of a page of another site.

    Browsers that know `Sec-Fetch-Site` say so themselves; of others, `Origin` or else `Referer` tells. Programs that are not
    browsers send none of these. `own_origins` are ours and those that settings allow, as `scheme://host[:port]`.
    """
    allowed = set(own_origins)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None and (referer := request.headers.get(hdrs.REFERER)):
        origin = _origin(referer)
    if origin is not None and origin in allowed:
        return False
    if fetch_site := request.headers.get("Sec-Fetch-Site"):
        return fetch_site not in ("same-origin", "none")
    # Over plain HTTP browsers say nothing but the origin. A page at the very host that was asked is ours, whatever name the
    # settings have for it; cookies go by host too, so a stranger who lets his own name point here gains nothing.
    return origin is not None and _host(origin) != request.host


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}"
