"""The address guard: every way to write a forbidden address, and the two moments at which it is judged."""

import socket
from typing import Any

import pytest
from aiohttp import ThreadedResolver
from yarl import URL

from app.adapters.base import UntrustedAddress
from app.adapters.guard import AddressPolicy, AddressRefusedError, GuardedResolver
from app.adapters.transport import Transport
from tests.fakes.recording import RecordingServer

FORBIDDEN = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "192.88.99.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001:0:1234::1", "100::1", "5f00::1",
    "", "localhost", "127.1", "2130706433", "0x7f000001", "example.org",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "141.211.10.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_policy_when_address_is_reserved_or_no_address_then_refused(address: str) -> None:
    assert not AddressPolicy().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_policy_when_address_is_public_then_permitted(address: str) -> None:
    assert AddressPolicy().permits(address)


def test_policy_when_network_is_listed_then_only_it_is_permitted() -> None:
    policy = AddressPolicy(["10.1.0.0/16", "fd00::/8"])
    assert policy.permits("10.1.2.3")
    assert policy.permits("::ffff:10.1.2.3")
    assert policy.permits("fd00::1")
    assert not policy.permits("10.2.0.1")
    assert not policy.permits("127.0.0.1")
    assert not policy.permits("::1")


def test_policy_when_networks_are_not_networks_then_value_error() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        AddressPolicy(["not-a-network"])


def _lookup(*addresses: str) -> Any:
    def look_up(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    return look_up


async def test_resolver_when_some_answers_are_private_then_only_public_ones_are_given() -> None:
    resolver = GuardedResolver(AddressPolicy(), _lookup("10.0.0.1", "8.8.8.8", "::1"))
    assert [found["host"] for found in await resolver.resolve("x.org", 443)] == ["8.8.8.8"]
    await resolver.close()


async def test_resolver_when_all_answers_are_private_then_refused() -> None:
    resolver = GuardedResolver(AddressPolicy(), _lookup("10.0.0.1", "::1"))
    with pytest.raises(AddressRefusedError):
        await resolver.resolve("x.org", 443)
    await resolver.close()


def test_make_socket_when_address_is_private_then_no_socket_is_made() -> None:
    with pytest.raises(AddressRefusedError):
        AddressPolicy().make_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://localhost:{port}/",
     "http://127.0.0.1.:{port}/", "http://0.0.0.0:{port}/", "http://127.1:{port}/", "http://2130706433:{port}/",
     "http://evil.example:{port}/", "http://0x7f.1:{port}/"],
)  # fmt: skip
async def test_transport_when_address_leads_to_loopback_then_nothing_connects(url: str) -> None:
    def look_up(host: str, port: int, **kwargs: Any) -> list[tuple[Any, ...]]:
        return socket.getaddrinfo("127.0.0.1" if host == "evil.example" else host, port, **kwargs)

    async with RecordingServer() as server, Transport(user_agent="t", lookup=look_up) as transport:
        target = URL(url.format(port=server.port))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - judged below
            await transport.request_json("GET", target, allow_insecure=True)
        assert isinstance(caught.value, UntrustedAddress) or "address that makes no sense" in str(
            caught.value
        )
        with pytest.raises(type(caught.value)):
            async with transport.stream_get(target, allow_insecure=True):
                pass
        assert server.requests == []


async def test_transport_when_the_name_answers_differently_later_then_the_judged_address_is_used() -> (
    None
):
    """A second look-up (DNS rebinding) must not happen between judging and connecting."""
    answers = iter(["8.8.8.8", "127.0.0.1"])
    asked = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    connected: list[str] = []
    async with RecordingServer() as server, Transport(user_agent="t", lookup=look_up) as transport:

        def make_socket(info: tuple[Any, ...]) -> socket.socket:
            connected.append(info[4][0])
            raise OSError("no network in tests")

        transport._calls.connector._socket_factory = make_socket  # type: ignore[union-attr]
        with pytest.raises(Exception, match="cannot be reached"):
            await transport.request_json(
                "GET", URL(f"http://x.test:{server.port}/"), allow_insecure=True
            )
        assert asked == ["x.test"]
        assert connected == ["8.8.8.8"]
        assert server.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://x.org/", "http and https"),
        ("file:///etc/passwd", "http and https"),
        ("https://user:pw@x.org/", "user name"),
        ("https://user@x.org/", "user name"),
        ("http://x.org/", "https only"),
    ],
)
async def test_transport_when_url_is_of_a_forbidden_kind_then_refused_without_a_look_up(
    url: str, words: str
) -> None:
    def look_up(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise AssertionError("looked up")

    async with Transport(user_agent="t", lookup=look_up) as transport:
        with pytest.raises(UntrustedAddress, match=words) as caught:
            await transport.request_json("GET", URL(url))
        assert "pw" not in caught.value.reason


async def test_socket_gate_when_a_resolver_was_fooled_then_still_refused() -> None:
    """The last gate stands alone: it does not rely on the resolver before it."""
    async with RecordingServer() as server, Transport(user_agent="t") as transport:
        for session in (transport._calls, transport._once):
            session.connector._resolver = ThreadedResolver()  # type: ignore[union-attr] # a TCPConnector
            with pytest.raises(Exception, match="Cannot connect"):
                await session.get(f"http://localhost:{server.port}/")
            with pytest.raises(Exception, match="Cannot connect"):
                await session.get(f"http://127.0.0.1:{server.port}/")
        assert server.requests == []


async def test_first_gate_when_the_last_one_is_missing_then_literal_addresses_are_still_refused() -> (
    None
):
    async with RecordingServer() as server, Transport(user_agent="t") as transport:
        transport._calls.connector._socket_factory = None  # type: ignore[union-attr] # a TCPConnector
        with pytest.raises(UntrustedAddress):
            await transport.request_json("GET", URL(server.url), allow_insecure=True)
        assert server.requests == []
