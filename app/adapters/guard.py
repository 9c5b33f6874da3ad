"""The address guard: which network addresses this platform may connect to.

A service's address, and the hosts its results name, are data that somebody typed or a remote sent. Left unchecked they
would let a stranger make this process talk to its own database, to neighbours in the private network, or to a cloud's
metadata service. So a name is resolved once, the answers are judged, and the connection is made to the very addresses
that were judged (a second look-up could answer differently). Literal addresses never meet a resolver; they are judged
before the request and, as everything, once more when the socket is made.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

Network = IPv4Network | IPv6Network
Lookup = Callable[..., list[tuple[Any, ...]]]
"""The signature of `socket.getaddrinfo`."""

_UNICAST_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",  # the host agent of Azure, on a public address
        "192.0.0.0/24",  # protocol assignments; holds the metadata service of Oracle's cloud
        "192.88.99.0/24",  # 6to4 relays
        "100.64.0.0/10",  # carrier-grade NAT; holds the metadata service of Alibaba's cloud
        "2001::/32",  # Teredo: an IPv4 address in disguise
        "2002::/16",  # 6to4: likewise
    )
)


class AddressRefusedError(OSError):
    """Raised inside the connector, as an `OSError` so that it passes through aiohttp; never leaves `app.adapters`."""


class AddressPolicy:
    """Says whether an address may be connected to: public unicast, or listed in `allowed_networks`."""

    def __init__(self, allowed_networks: Iterable[str | Network] = ()) -> None:
        """Take networks such as `127.0.0.0/8`. Raises `ValueError` for anything else."""
        self._allowed = tuple(
            ip_network(item) if isinstance(item, str) else item for item in allowed_networks
        )

    def permits(self, address: str) -> bool:
        """Judge a numeric address; whatever is not one is refused."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self._allowed):
            return True
        if isinstance(parsed, IPv6Address) and parsed in _NAT64:
            parsed = IPv4Address(int(parsed) & 0xFFFF_FFFF)
        return _is_public(parsed)

    def permits_host(self, host: str) -> bool:
        """Judge the host of a URL: a literal address now, a name when it is resolved."""
        try:
            ip_address(host)
        except ValueError:
            return True
        return self.permits(host)

    def make_socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for one resolved address; the last gate, for every way that leads to a connection."""
        family, kind, proto, _, address = addr_info
        if not self.permits(str(address[0])):
            raise AddressRefusedError("address refused")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _NEVER):
        return False
    if isinstance(address, IPv6Address) and address not in _UNICAST_V6:
        return False
    return address.is_global and not address.is_multicast


class GuardedResolver(AbstractResolver):
    """Resolves a name and gives only the addresses that the policy permits.

    It has its own threads: look-ups of dead name servers hang for many seconds and must not take the threads that
    other work waits for.
    """

    def __init__(self, policy: AddressPolicy, lookup: Lookup = socket.getaddrinfo) -> None:
        self._policy = policy
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give permitted addresses of `host`. Raises `AddressRefusedError` when there are only others."""

        def look_up() -> list[tuple[Any, ...]]:
            try:
                return self._lookup(
                    host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            except UnicodeError as error:  # a label that is empty or beyond 63 characters
                raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from error

        infos = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        permitted: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": port,
                "family": found_family,
                "proto": proto,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for found_family, _, proto, _, address in infos
            if self._policy.permits(str(address[0]))
        ]
        if not permitted:
            raise AddressRefusedError("every address of the name is refused")
        return permitted

    async def close(self) -> None:
        """Stop the threads without waiting for look-ups under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_refusal(error: BaseException | None) -> bool:
    """Say whether an error of aiohttp has the guard's refusal at its root."""
    for _ in range(8):
        if error is None:
            return False
        if isinstance(error, AddressRefusedError):
            return True
        error = error.__cause__
    return False
