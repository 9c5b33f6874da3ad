"""Signed links that were bent, and ranges that make no sense, on stored files and on the archive that is made on the fly."""

import base64
import hashlib
import hmac
import io
import re
import zipfile
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import connect, head
from tests.support.api import Answer, Api
from tests.support.jobs import RESULTS, Desk, complete, genotypes, submitted
from tests.support.people import Person

JSON = {"Accept": "application/json"}
SITE = "http://platform.test"


class Things:
    """A stored file and an archive of alice's: where they are downloaded, and links to both."""

    def __init__(
        self, paths: dict[str, str], links: dict[str, str], bodies: dict[str, bytes]
    ) -> None:
        self.paths = paths
        self.links = links
        self.bodies = bodies


@pytest.fixture
async def things(client: Api, deps: Deps, alice: Person, desk: Desk) -> Things:
    job = await complete(deps, await submitted(deps, client, alice, desk))
    paths = {
        "file": f"/files/{job.input_file_id}/download",
        "archive": f"/files/{job.results_file_id}/download",
        "results": f"/jobs/{job.id}/results",
    }
    links = {}
    for name in ("file", "archive"):
        told = (await client.get(paths[name], as_=alice, headers=JSON)).json()
        links[name] = told["download_url"].removeprefix(SITE)
    bodies = {name: (await client.get(path, as_=alice)).body for name, path in paths.items()}
    assert bodies["archive"] == bodies["results"]
    with zipfile.ZipFile(io.BytesIO(bodies["archive"])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == RESULTS
    return Things(paths, links, bodies)


# Links


def token_of(link: str) -> str:
    return link.split("/")[3]


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def written(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def bent(deps: Deps, token: str, other: str) -> Iterator[tuple[str, str]]:
    """Give tokens that were never given out, by what was done to them."""
    good = raw(token)
    for place in range(len(token)):
        swapped = "A" if token[place] != "A" else "B"
        yield f"character {place} changed", token[:place] + swapped + token[place + 1 :]
    for size in (1, 4, 20, 40, len(token) - 4, len(token) - 1):
        yield f"cut to {size}", token[:size]
    yield "longer", token + "AAAA"
    yield "twice", token * 2
    yield "padded", token + "="
    yield "padded and more", token + "===="
    yield "blanks within", f"{token[:8]}%20{token[8:]}"
    yield "line break within", f"{token[:8]}%0A{token[8:]}"
    yield "in capitals", token.upper()
    yield "the other alphabet", token.replace("-", "+").replace("_", "%2F") + "%2B"
    yield "standard alphabet", "+" + token[1:]
    yield "mark of another link", written(good[:24] + raw(other)[24:])
    yield "file of another link", written(good[:16] + raw(other)[16:24] + good[24:])
    yield "marked with a plain hash", written(good[:24] + hashlib.sha256(good[:24]).digest()[:18])
    for name, key in (("the sign-in key", deps.settings.jwt_secret), ("nothing", "")):
        mark = hmac.new(key.encode(), b"fip-link" + good[:24], hashlib.sha256).digest()[:18]
        yield f"marked with {name}", written(good[:24] + mark)
    yield "mark of nought bytes", written(good[:24])
    yield "id that never was", deps.links.sign(uuid4(), int.from_bytes(good[16:24], "big"))
    yield "id of zeros", deps.links.sign(UUID(int=0), 0)
    yield "file beyond 63 bits", deps.links.sign(UUID(bytes=good[:16]), 2**64 - 1)
    yield "text", "not-a-token"
    yield "beyond ASCII", "%C3%A4%F0%9F%A7%AC"
    yield "no text", "%FF%FE"
    yield "NUL", "%00"
    yield "a sign-in token", deps.tokens.issue(1, "alice", 0, deps.now())
    yield "5 kB", "A" * 5000


async def test_link_when_bent_in_any_way_then_all_answers_are_the_same_404(
    client: Api, deps: Deps, things: Things
) -> None:
    good, other = token_of(things.links["file"]), token_of(things.links["archive"])
    shapes = set()
    async with leaves_nothing(deps):
        for what, token in bent(deps, good, other):
            answer = await client.get(f"/files/download/{token}/x.vcf.gz")
            assert answer.status == 404, (what, answer.status)
            if what == "NUL":  # no token, no path
                continue
            told = refused(answer, 404, "link_not_found", about=what)
            shapes.add(str({**told, "request_id": ""}))
            assert len(token) < 8 or token not in answer.text
    assert len(shapes) == 1
    assert (await client.get(things.links["file"])).body == things.bodies["file"]


async def test_link_when_over_revoked_or_replaced_then_the_same_404(
    client: Api, deps: Deps, things: Things, alice: Person
) -> None:
    link = things.links["file"]
    shown = (await client.get("/files/download/x/y")).json()
    changes = {
        "over": "update signed_links set expires_at = now() - interval '1 second'",
        "revoked": "update signed_links set expires_at = now() + interval '1 hour', revoked_at = now()",
        "of another file": "update signed_links set revoked_at = null, file_id = (select max(id) from files)",
        "gone": "delete from signed_links",
    }
    for what, change in changes.items():
        await deps.pool.execute(change)
        for method in ("GET", "HEAD"):
            answer = await client.request(method, link, headers={"Range": "bytes=0-0"})
            assert answer.status == 404, what
        told = (await client.get(link)).json()
        assert {**told, "request_id": ""} == {**shown, "request_id": ""}, what


async def test_link_when_the_name_in_it_is_hostile_then_it_plays_no_part(
    client: Api, base: str, things: Things
) -> None:
    start = things.links["file"].rpartition("/")[0]
    for name in (
        "x",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cx",
        "%0d%0aX-Evil:1",
        "%22%3bx",
        "%F0%9F%A7%AC",
        "x" * 3000,
        "%ff",
        "%00x",
    ):
        answer = await client.get(f"{start}/{name}")
        assert answer.status in (200, 404), name
        if answer.status == 200:
            assert answer.body == things.bodies["file"]
            assert answer.headers["Content-Disposition"] == 'attachment; filename="chr20.vcf.gz"'
        assert "X-Evil" not in answer.headers
    for rest in ("", "/", "/a/b", "/../../../users/me", "/%2e%2e"):
        async with connect(base) as wire:
            await wire.send(head("GET", start + rest))
            answer_on_wire = await wire.answer()
        assert answer_on_wire.status in (200, 401, 404), rest
        if answer_on_wire.status == 200:
            assert answer_on_wire.body == things.bodies["file"]


async def test_link_when_something_else_than_reading_is_tried_then_405(
    client: Api, things: Things, alice: Person
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for person in (None, alice):
            refused(
                await client.request(method, things.links["file"], as_=person),
                405,
                "method_not_allowed",
            )


# Ranges

WHOLE = [
    "bytes=5-2", "bytes=--5", "bytes=-", "bytes=", "bytes", "=0-5", "items=0-5", "bytes=a-b", "bytes=0-5,7-9", "bytes=0-0,-1",
    "bytes=0x0-0x5", "bytes=+0-+5", "bytes=0.5-2", "bytes=\u0660-5", "bytes=1 0-2 0", "bytes=0-5;x", "bytes=" + ",".join(["0-"] * 1000),
    "bytes=" + "9" * 5000 + "-", "bytes=0-" + "9" * 5000, "bytes=-" + "9" * 20, "bytes=18446744073709551616-", "bytes=0-18446744073709551616",
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 2000, 2)), "none", "bytes=\x0b0-5",
]  # fmt: skip


async def test_range_when_it_makes_no_sense_then_the_whole_is_sent(
    base: str, things: Things, alice: Person
) -> None:
    for name, path in things.paths.items():
        for wanted in WHOLE:
            async with connect(base) as wire:
                await wire.send(head("GET", path, alice.token, Range=wanted))
                answer = await wire.answer()
            if answer.status == 400:  # a byte that no header may hold, or too many of them
                assert not wanted.isprintable() or len(wanted) > 8000
                continue
            assert (answer.status, answer.body) == (200, things.bodies[name]), (name, wanted)
            assert "Content-Range" not in answer.headers


async def test_range_when_there_is_nothing_of_it_then_416_tells_the_size(
    client: Api, things: Things, alice: Person
) -> None:
    for name, path in things.paths.items():
        size = len(things.bodies[name])
        for wanted in (f"bytes={size}-", f"bytes={size}-{size + 5}", f"bytes={2**62}-", "bytes=-0"):
            answer = await client.get(path, as_=alice, headers={"Range": wanted})
            assert answer.status == 416, (name, wanted)
            assert answer.headers["Content-Range"] == f"bytes */{size}"


async def test_range_when_it_reaches_over_the_end_then_ends_there(
    client: Api, things: Things, alice: Person
) -> None:
    for name, path in things.paths.items():
        body = things.bodies[name]
        size = len(body)
        wanted = {
            f"bytes=0-{2**62}": body,
            f"bytes={size - 1}-{2**63 - 1}": body[-1:],
            f"bytes=-{size + 1000}": body,
            f"bytes=-{2**62}": body,
            "bytes=0-0": body[:1],
            f"bytes=1-{size - 2}": body[1:-1],
        }
        for text, expected in wanted.items():
            answer = await client.get(path, as_=alice, headers={"Range": text})
            assert (answer.status, answer.body) == (206, expected), (name, text)
            assert re.fullmatch(rf"bytes \d+-\d+/{size}", answer.headers["Content-Range"])


async def test_range_when_every_byte_is_fetched_alone_then_they_make_the_whole(
    client: Api, things: Things, alice: Person
) -> None:
    body = things.bodies["archive"]
    step = max(1, len(body) // 60)
    got = b""
    for start in range(0, len(body), step):
        wanted = {"Range": f"bytes={start}-{start + step - 1}"}
        got += (await client.get(things.links["archive"], headers=wanted)).body
    assert got == body


async def test_condition_when_it_is_garbage_then_the_whole_is_sent(
    client: Api, things: Things, alice: Person
) -> None:
    for name, path in things.paths.items():
        for header in ("If-Range", "If-None-Match"):
            for value in (
                '"',
                "W/",
                '""',
                "*x",
                "x" * 5000,
                '"a", ' * 500 + '"b"',
                "Thu, 99 Foo 9999 99:99:99 GMT",
                "é",
            ):
                answer: Answer = await client.get(
                    path,
                    as_=alice,
                    headers={header: value, "Range": "bytes=0-1"}
                    if header == "If-Range"
                    else {header: value},
                )
                assert (answer.status, answer.body) == (200, things.bodies[name]), (
                    name,
                    header,
                    value,
                )


async def test_download_when_nobody_may_then_no_byte_no_name_and_no_note(
    client: Api, deps: Deps, things: Things, bob: Person
) -> None:
    async with leaves_nothing(deps):
        for path in things.paths.values():
            for person, status in ((None, 401), (bob, 404)):
                for accept in ("*/*", "application/json", "application/zip"):
                    answer = await client.get(
                        path, as_=person, headers={"Accept": accept, "Range": "bytes=0-3"}
                    )
                    assert answer.status == status
                    assert "Content-Disposition" not in answer.headers
                    assert genotypes()[:4] not in answer.body
