"""JSON and queries that are bent, bottomless, or larger than any column, at every route that takes some."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.throttle import TokenBuckets
from app.routes.table import ENDPOINTS
from app.usecases.deps import Deps
from app.web.endpoint import Endpoint
from tests.adversarial.refusals import leaves_nothing, refused, rows
from tests.guards.test_routes import example
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, submitted
from tests.support.people import Person

WITH_BODY = [item for item in ENDPOINTS if item.body is not None]
JSON = {"Content-Type": "application/json"}

UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n",
    "half an object": b'{"a": ',
    "single quotes": b"{'a': 1}",
    "a comment": b'{"a": 1} // x',
    "two values": b"{} {}",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number beyond all": b'{"a": 1e999999}',
    "a number of 100,000 digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "64 bits and one more": b'{"a": 9223372036854775808}',
    "less than 64 bits": b'{"a": -9223372036854775809}',
    "a number with leading zeros": b'{"a": 007}',
    "200,000 open brackets": b"[" * 200_000,
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "objects 40,000 deep": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "an escaped NUL": b'{"a": "\\u0000"}',
    "an escaped NUL as a name": b'{"\\u0000": 1}',
    "an escaped NUL, deep inside": b'{"a": [{"b": ["x", {"c": "y\\u0000"}]}]}',
    "a NUL": b'{"a": "\x00"}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "surrogates in the wrong order": b'{"a": "\\udc00\\ud800"}',
    "a surrogate in bytes": b'{"a": "\xed\xa0\x80"}',
    "bytes that are no text": b'{"a": "\xff\xfe"}',
    "an overlong NUL": b'{"a": "\xc0\x80"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "a control character": b'{"a": "\x07"}',
    "a line break in a text": b'{"a": "x\ny"}',
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told to wait: what is attacked here is not the brake."""
    monkeypatch.setattr(TokenBuckets, "take", lambda *_: 0.0)


async def call(client: Api, item: Endpoint, person: Person, body: bytes) -> Answer:
    return await client.request(
        item.method, example(item.path), as_=person, data=body, headers=JSON
    )


async def test_body_when_it_is_no_json_that_can_be_kept_then_refused_on_every_route(
    client: Api, deps: Deps, admin: Person
) -> None:
    async with leaves_nothing(deps):
        for item in WITH_BODY:
            for what, body in UNREADABLE.items():
                answer = await call(client, item, admin, body)
                told = refused(answer, 400, "invalid_json", about=(item.name, what))
                assert len(told["message"]) < 200


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [], [{}], [[[]]]])
async def test_body_when_it_is_no_object_then_refused_on_every_route(
    client: Api, deps: Deps, admin: Person, value: object
) -> None:
    async with leaves_nothing(deps):
        for item in WITH_BODY:
            answer = await call(client, item, admin, json.dumps(value).encode())
            refused(answer, 400, "invalid_input", about=item.name)


def properties(document: dict[str, Any], item: Endpoint) -> dict[str, Any]:
    reference = document["components"]["schemas"][item.body.__name__]
    found: dict[str, Any] = reference["properties"]
    return found


ODD_VALUES: list[Any] = [
    None, True, -1, 2**63 - 1, -(2**63), 1e308, 5e-324, "", "x" * 100_000, "\u202e\u2066abc\u0007\x1b[31m", "a\r\nBcc: evil@example.org",
    "'; drop table users; --", "%00%0d%0a", "e\u0301" * 500, "🧬", [], [None], ["x"] * 5000, {"": ""}, {"x" * 5000: "y"},
    {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}},
]  # fmt: skip


async def test_body_when_any_field_holds_anything_then_nothing_breaks(
    client: Api, deps: Deps, admin: Person, desk: Desk
) -> None:
    document = (await client.get("/openapi.json")).json()
    for item in WITH_BODY:
        path = re.sub(r"4711", "1", example(item.path))
        if item.name == "auth.change_password":  # a success would end the sign-in
            continue
        for name in properties(document, item):
            for value in ODD_VALUES:
                answer = await client.request(item.method, path, as_=admin, json={name: value})
                assert answer.status < 500 or answer.status == 503, (item.name, name, value)
                if answer.status >= 400:
                    told = (
                        refused(answer, answer.status, answer.json()["code"], about=item.name)
                        if answer.json().get("action")
                        else answer.json()
                    )
                    text = value if isinstance(value, str) and len(value) > 3 else None
                    assert text is None or text not in told["message"], (item.name, name)


async def test_body_when_a_name_stands_twice_then_the_last_one_counts_and_only_it(
    client: Api, admin: Person
) -> None:
    raw = b'{"full_name": "first", "full_name": "second"}'
    answer = await client.patch("/users/me", as_=admin, data=raw, headers=JSON)
    assert answer.json()["full_name"] == "second"


async def test_body_when_its_kind_is_wrong_then_415_on_every_route(
    client: Api, deps: Deps, admin: Person
) -> None:
    kinds = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=B",
             "application/jsonp", "text/json", "application/json-patch+json", "\u00e4/\u00e4", "application"]  # fmt: skip
    async with leaves_nothing(deps):
        for item in WITH_BODY:
            for kind in kinds:
                answer = await client.request(
                    item.method,
                    example(item.path),
                    as_=admin,
                    data=b"{}",
                    headers={"Content-Type": kind},
                )
                refused(answer, 415, "unsupported_media_type", about=(item.name, kind))


async def test_body_when_it_is_too_large_then_413_on_every_route(
    client: Api, deps: Deps, admin: Person
) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 50_000

    async with leaves_nothing(deps):
        for item in WITH_BODY:
            answer = await client.request(
                item.method, example(item.path), as_=admin, data=endless(), headers=JSON
            )
            refused(answer, 413, "too_large", about=item.name)


# Queries

WITH_QUERY = [item for item in ENDPOINTS if item.query is not None and "events" not in item.tag]
ODD_TEXT = [
    "%00",
    "%ff",
    "%ed%a0%80",
    "%25",
    "_",
    "%5C",
    "%5C%25",
    "'",
    "%22",
    "%E2%80%AE",
    "x" * 7000,
    "",
    "%20",
    "%0d%0a",
    "1;2",
    "null",
    "[]",
    "%F0%9F%A7%AC",
]
ODD_NUMBERS = ["-1", "0", "1", "500", "501", str(2**31), str(2**31 + 1), str(2**63 - 1), str(2**63), "9" * 4000, "1e3", "1.5", "NaN", "Infinity", "0x1", "%D9%A1", "+1", "1_0"]  # fmt: skip


def queries() -> Iterator[tuple[Endpoint, str, str]]:
    for item in WITH_QUERY:
        for name in item.query.__struct_fields__:
            for value in {*ODD_TEXT, *ODD_NUMBERS}:
                yield item, name, value


async def test_query_when_any_parameter_holds_anything_then_nothing_breaks(
    client: Api, deps: Deps, admin: Person, desk: Desk
) -> None:
    before = await rows(deps.pool)
    seen = set()
    for item, name, value in sorted(queries(), key=lambda found: (found[0].name, *found[1:])):
        path = re.sub(r"4711", "1", example(item.path))
        answer = await client.get(f"{path}?{name}={value}", as_=admin)
        assert answer.status in (200, 400, 404), (item.name, name, value, answer.status)
        if answer.status == 400:
            told = refused(answer, 400, "invalid_input", about=(item.name, name, value))
            assert told["message"].startswith(name), told
        seen.add(answer.status)
    assert seen == {200, 400, 404}
    assert await rows(deps.pool) == before


async def test_query_when_it_looks_like_a_pattern_then_it_is_only_text(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    for name in ("50% done", "a_b", "back\\slash", "plain", "quote'"):
        await submitted(deps, client, alice, desk, last={"name": name})
    expected = {
        "%25": {"50% done"}, "_": {"a_b"}, "%5C": {"back\\slash"}, "'": {"quote'"}, "%25%25": set(), "a%25b": set(),
        "PLAIN": {"plain"}, "%5C%25": set(), "": {"50% done", "a_b", "back\\slash", "plain", "quote'"}, "' or '1'='1": set(),
    }  # fmt: skip
    for query, names in expected.items():
        answer = await client.get(f"/jobs?q={query}", as_=alice)
        assert {job["name"] for job in answer.json()} == names, query
        assert answer.headers["X-Total-Count"] == str(len(names))


async def test_page_when_it_lies_far_behind_the_end_then_it_is_empty_and_links_lead_back(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    await submitted(deps, client, alice, desk)
    answer = await client.get(f"/jobs?limit=500&offset={2**31}", as_=alice)
    assert answer.json() == []
    assert answer.headers["X-Total-Count"] == "1"
    links = answer.headers["Link"]
    assert 'rel="next"' not in links
    assert f'offset={2**31 - 500}>; rel="prev"' in links


async def test_link_header_when_the_query_is_hostile_then_it_stays_one_header(
    client: Api, alice: Person
) -> None:
    for query in (
        "q=%0d%0aX-Evil:1",
        "q=%3E;rel=next,%3Chttps://evil.test%3E",
        "x=%22%3E",
        "q=%F0%9F%A7%AC",
    ):
        answer = await client.get(f"/jobs?{query}", as_=alice)
        assert answer.status == 200
        assert "X-Evil" not in answer.headers
        assert (
            len(re.findall(r"<[^<>]*>; rel=", answer.headers["Link"]))
            == answer.headers["Link"].count("<")
            == 2
        )
        assert "evil.test>" not in answer.headers["Link"]
