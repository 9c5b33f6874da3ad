"""Who a request comes from."""

from ipaddress import ip_network
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from app.web.client import client_address, is_cross_site

OWN = ("https://platform.test",)


def _address(peer: str, forwarded: list[str], trusted: list[str]) -> str:
    headers = CIMultiDict[str]()
    for value in forwarded:
        headers.add("X-Forwarded-For", value)
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (
        (peer, 1234) if name == "peername" else default
    )
    request = make_mocked_request("GET", "/", headers=headers, transport=transport)
    return client_address(request, [ip_network(item) for item in trusted])


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.5", ["198.51.100.1"], [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.2", ["198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
        # what the client itself wrote stands left of what our proxy saw
        ("10.0.0.2", ["1.1.1.1, 198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", ["1.1.1.1", "198.51.100.1, 10.0.0.3"], ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", ["127.0.0.1, 10.9.9.9"], ["10.0.0.0/8"], "127.0.0.1"),
        ("10.0.0.2", ["garbage"], ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.2", [""], ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.2", ["10.0.0.3"], ["10.0.0.0/8"], "10.0.0.3"),
        ("::1", ["2001:db8::7"], ["::1/128", "127.0.0.0/8"], "2001:db8::7"),
    ],
)
def test_address_when_forwarded_then_only_trusted_proxies_are_believed(
    peer: str, forwarded: list[str], trusted: list[str], expected: str
) -> None:
    assert _address(peer, forwarded, trusted) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://platform.test"}, False),
        ({"Origin": "https://platform.test"}, False),
        ({"Origin": "https://evil.test"}, True),
        ({"Origin": "https://platform.test.evil.test"}, True),
        ({"Origin": "http://platform.test"}, True),
        ({"Origin": "null"}, True),
        ({"Referer": "https://platform.test/ui/jobs"}, False),
        ({"Referer": "https://evil.test/https://platform.test"}, True),
        ({"Referer": "https://platform.test@evil.test/"}, True),
        ({"Referer": "http://[broken"}, True),
        ({"Origin": "https://evil.test", "Referer": "https://platform.test/"}, True),
    ],
)
def test_cross_site_when_a_browser_tells_then_it_is_believed(
    headers: dict[str, str], expected: bool
) -> None:
    request = make_mocked_request("POST", "/", headers=headers)

    assert is_cross_site(request, OWN) is expected
