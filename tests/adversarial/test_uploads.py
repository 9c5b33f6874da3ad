"""Uploads that are cut, slow, wrongly framed, too much, or asked for in vain: refused in time, and gone without a trace."""

import asyncio
import os
from dataclasses import replace

import pytest

from app.settings import Settings
from app.usecases.deps import Deps
from app.web.upload import MAX_FIELD_BYTES
from tests.adversarial.conftest import MIB
from tests.adversarial.forms import fields, send, start
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import END, FORM, RawAnswer, chunk, connect, field, file, head, statuses
from tests.support.api import Api
from tests.support.jobs import Desk, genotypes, stored_paths
from tests.support.people import Person

PLAIN = "application/x-www-form-urlencoded"


# Cut


async def until_served(base: str) -> None:
    """Wait until the server, which runs on this loop, is done with every connection that was made before."""
    async with connect(base) as wire:  # accepted in turn: after all those
        await wire.send(head("GET", "/health"))
        assert (await wire.answer()).status == 200
    async with asyncio.timeout(10):
        while any("RequestHandler.start" in repr(task.get_coro()) for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def test_upload_when_cut_anywhere_then_is_refused_and_gone(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    whole = fields(desk) + file(genotypes()) + END[:-4]  # up to «--B»: no closing mark
    places = {
        "in the first boundary": 2,
        "in a header": 20,
        "in a value": whole.index(b"hg19") + 2,
        "after the fields": len(fields(desk)),
        "in the file's headers": whole.index(b"filename") + 4,
        "at the file's first byte": whole.index(b"\x1f\x8b") + 1,
        "in the file": whole.index(b"\x1f\x8b") + 60,
        "in the last boundary": len(whole) - 2,
        "before the closing mark": len(whole),
    }
    for what, place in places.items():
        async with leaves_nothing(deps):
            refused(await send(base, alice, whole[:place]), 400, "broken_upload", about=what)
        for chunked in (False, True):
            async with leaves_nothing(deps), connect(base) as wire:
                length = None if chunked else len(whole) + 50
                body = chunk(whole[:place]) if chunked else whole[:place]
                await wire.send(start(alice, length) + body)
                await asyncio.sleep(0.02)
                wire.reset()
                await until_served(base)


async def test_upload_when_it_stalls_anywhere_then_is_given_up(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    whole = fields(desk) + file(genotypes())

    async def stall(place: int) -> RawAnswer:
        async with connect(base) as wire:
            await wire.send(start(alice, len(whole) + 50) + whole[:place])
            return await wire.answer(limit_s=5)

    async with leaves_nothing(deps):
        places = (0, 10, len(fields(desk)) + 5, len(whole) - 30, len(whole))
        for answer in await asyncio.gather(*(stall(place) for place in places)):
            told = refused(answer, 400, "broken_upload")
            assert "1 seconds" in told["message"]


async def test_upload_when_the_plain_form_stalls_then_is_given_up(
    base: str, deps: Deps, alice: Person
) -> None:
    async with connect(base) as wire:
        await wire.send(start(alice, 100, PLAIN) + b"service_id=")
        refused(await wire.answer(limit_s=5), 400, "broken_upload")


# Framed wrongly


WRONG_KINDS: list[tuple[str, int, str]] = [
    ("", 415, "unsupported_media_type"),
    ("text/plain", 415, "unsupported_media_type"),
    ("application/json", 415, "unsupported_media_type"),
    ("application/octet-stream", 415, "unsupported_media_type"),
    ("application/gzip", 415, "unsupported_media_type"),
    ("multipart/mixed; boundary=B", 415, "unsupported_media_type"),
    ("multipart/related; boundary=B", 415, "unsupported_media_type"),
    ("multipart/form-dataX; boundary=B", 415, "unsupported_media_type"),
    ("multipart", 415, "unsupported_media_type"),
    ("multipart/form-data", 400, "no_boundary"),
    ("multipart/form-data; boundary=", 400, "no_boundary"),
    ('multipart/form-data; boundary=""', 400, "no_boundary"),
    ("multipart/form-data; charset=utf-8", 400, "no_boundary"),
    ("multipart/form-data; boundary=" + "b" * 71, 400, "no_boundary"),
    ("multipart/form-data; boundary=a[b", 400, "no_boundary"),
    ('multipart/form-data; boundary="B', 400, "no_boundary"),
    ("multipart/form-data; boundary=A", 400, "broken_upload"),
    ("multipart/form-data; boundary=b", 400, "broken_upload"),
]


async def test_upload_when_its_kind_is_wrong_then_says_which_is_right(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    body = fields(desk) + file(genotypes()) + END
    for kind, status, code in WRONG_KINDS:
        async with leaves_nothing(deps):
            for path in ("/jobs", "/api/files/upload"):
                answer = await send(base, alice, body, kind=kind, path=path)
                refused(answer, status, code, about=kind)


def part(head: str, content: bytes = b"x") -> bytes:
    return f"--B\r\n{head}\r\n\r\n".encode("utf-8", "surrogateescape") + content + b"\r\n"


INPUT = 'Content-Disposition: form-data; name="input_file"; filename="a.vcf.gz"'
NESTED = b'--C\r\nContent-Disposition: file; filename="a"\r\n\r\nx\r\n--C--'
WRONG_PARTS: dict[str, tuple[bytes, int, str]] = {
    "10,000 fields": (b"".join(field(f"f{n}", "x") for n in range(10_000)), 400, "unknown_field"),
    "10,000 empty fields": (field("input_file_id", "") * 10_000, 400, "too_many_fields"),
    "10,000 files": (file(b"", name="") * 10_000, 400, "too_many_files"),
    "10 MB of text": (field("description", b"x" * 10 * MIB), 413, "too_large"),
    "text just too long": (field("description", b"x" * (MAX_FIELD_BYTES + 1)), 413, "too_large"),
    "10 MB name of a field": (field("n" * 10 * MIB, "x"), 400, "part_headers_too_long"),
    "10 kB name of a field": (field("n" * 10_000, "x"), 400, "unknown_field"),
    "20 kB name of a file": (file(b"x", name="n" * 20_000), 400, "part_headers_too_long"),
    "endless part headers": (part("X: y\r\n" * 5_000), 400, "part_headers_too_long"),
    "parts within a part": (
        part(INPUT + "\r\nContent-Type: multipart/mixed; boundary=C", NESTED),
        400,
        "nested_multipart",
    ),
    "parts within a part, in capitals": (
        part(INPUT + "\r\nCONTENT-TYPE: MultiPart/Digest", NESTED),
        400,
        "nested_multipart",
    ),
    "an encoded part": (part(INPUT + "\r\nContent-Transfer-Encoding: base64"), 400, "encoded_part"),
    "a part without a name": (part("Content-Disposition: form-data"), 400, "broken_upload"),
    "a part of another kind": (
        part('Content-Disposition: attachment; name="name"'),
        400,
        "broken_upload",
    ),
    "a part without headers": (b"--B\r\n\r\nx\r\n", 400, "broken_upload"),
    "lines that end wrongly": (part(INPUT).replace(b"\r\n", b"\n"), 400, "broken_upload"),
    "a boundary within a line": (b"--B nonsense\r\n" + part(INPUT), 400, "broken_upload"),
    "a long preamble": (b"p" * 10_000 + b"\r\n" + part(INPUT), 400, "broken_upload"),
    "a field without a name": (field("", "x"), 400, "unknown_field"),
    "a field with NUL in its name": (field("na\0me", "x"), 400, "unknown_field"),
    "a field with a line break in its name": (field("name%0D%0Ax", "x"), 400, "unknown_field"),
    "text with NUL": (field("name", "a\0b"), 400, "not_text"),
    "text that is no UTF-8": (field("name", b"\xff\xfe"), 400, "not_text"),
    "a lone surrogate": (field("name", b"\xed\xa0\x80"), 400, "not_text"),
    "UTF-16": (field("name", "name".encode("utf-16")), 400, "not_text"),
    "an overlong NUL": (field("name", b"\xc0\x80"), 400, "not_text"),
    "a field twice": (field("build", "hg19") * 2, 400, "repeated_field"),
    "a file in a field of text": (file(b"x", field="name"), 400, "unknown_field"),
    "text in the field of the file": (field("input_file", "x"), 400, "not_a_file"),
}


async def test_form_when_a_part_is_wrong_then_is_refused_at_once(
    base: str, deps: Deps, alice: Person
) -> None:
    for what, (body, status, code) in WRONG_PARTS.items():
        async with leaves_nothing(deps):
            refused(await send(base, alice, body + END), status, code, about=what)


WRONG_PLAIN: dict[str, tuple[bytes, int, str]] = {
    "10,000 fields": (b"&".join([b"input_file_id="] * 10_000), 400, "too_many_fields"),
    "300 kB": (b"name=" + b"x" * 300_000, 413, "too_large"),
    "NUL": (b"name=a%00b", 400, "not_text"),
    "escaped bytes that are no text": (b"name=%ff", 400, "not_text"),
    "an escaped surrogate": (b"name=%ed%a0%80", 400, "not_text"),
    "bytes that are no text": (b"name=\xff", 400, "not_text"),
    "a broken escape in a number": (b"service_id=%zz", 400, "invalid_field"),
    "a file": (b"input_file=chr20.vcf.gz", 400, "not_a_file"),
    "a field twice": (b"build=hg19&build=hg38", 400, "repeated_field"),
    "what is no field": (b"\x00=\x00", 400, "not_text"),
}


async def test_plain_form_when_something_is_wrong_then_is_refused(
    base: str, deps: Deps, alice: Person
) -> None:
    for what, (body, status, code) in WRONG_PLAIN.items():
        async with leaves_nothing(deps):
            refused(await send(base, alice, body, kind=PLAIN), status, code, about=what)


async def test_plain_form_when_a_name_has_umlauts_then_they_are_kept(
    base: str, client: Api, alice: Person, desk: Desk
) -> None:
    upload = await send(base, alice, file(genotypes(), field="file") + END, path="/files/upload")
    assert upload.status == 201, upload.body
    body = (
        f"service_id={desk.service.id}&reference_panel_id={desk.panel.id}&build=hg19"
        f"&input_file_id={upload.json()['id']}&name=K%C3%B6ln+%F0%9F%A7%AC+caf\u00e9"
    )
    answer = await send(base, alice, body.encode(), kind=PLAIN)
    assert (answer.status, answer.json()["name"]) == (201, "Köln 🧬 café")


# Too much


class TestSizes:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, max_file_bytes=MIB, max_upload_bytes=6 * MIB, max_files_per_job=9)

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_upload_when_too_much_then_is_refused_as_it_runs_over(
        self, base: str, deps: Deps, alice: Person, desk: Desk, chunked: bool
    ) -> None:
        noise = genotypes() + os.urandom(900_000)
        one = fields(desk) + file(noise + os.urandom(4 * MIB))
        many = fields(desk) + file(noise) * 7
        for body, code in ((one, "file_too_large"), (many, "too_large")):
            async with leaves_nothing(deps), connect(base) as wire:
                raw = start(alice, None if chunked else len(body) + len(END))
                pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
                raw += b"".join(chunk(piece) for piece in pieces) if chunked else body
                sending = asyncio.ensure_future(wire.send(raw))
                refused(await wire.answer(), 413, code)
                sending.cancel()

    async def test_upload_when_it_says_that_it_is_too_much_then_nothing_is_read(
        self, base: str, deps: Deps, alice: Person, desk: Desk
    ) -> None:
        for length in (6 * MIB + 1, 2**40, 2**63 - 1):
            async with leaves_nothing(deps), connect(base) as wire:
                await wire.send(start(alice, length))
                refused(await wire.answer(limit_s=0.9), 413, "too_large")

    async def test_files_when_there_are_too_many_then_is_refused(
        self, base: str, deps: Deps, alice: Person, desk: Desk
    ) -> None:
        async with leaves_nothing(deps):
            body = fields(desk) + file(genotypes()) * 10 + END
            refused(await send(base, alice, body), 400, "too_many_files")


async def test_upload_when_compressed_on_the_way_then_415(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    body = fields(desk) + file(genotypes()) + END
    async with leaves_nothing(deps):
        for coding in ("gzip", "deflate", "br", "compress", "x"):
            async with connect(base) as wire:
                raw = head(
                    "POST", "/jobs", alice.token,
                    Content_Type=FORM, Content_Encoding=coding, Content_Length=len(body),
                )  # fmt: skip
                await wire.send(raw + body)
                refused(await wire.answer(), 415, "unsupported_media_type", about=coding)


# Many


async def test_uploads_when_many_break_at_once_then_nothing_of_any_is_left(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    whole = fields(desk) + file(genotypes() + os.urandom(100_000))

    async def begin_and_break(number: int) -> None:
        async with connect(base) as wire:
            await wire.send(start(alice, len(whole) + 50) + whole[: -number * 4000 - 1])
            await asyncio.sleep(0.01 * (number % 3))
            wire.reset()

    async with leaves_nothing(deps):
        await asyncio.gather(*(begin_and_break(number) for number in range(20)))
        await until_served(base)  # one that was broken off may be taken up only now
        assert await stored_paths(deps) == []


async def test_connection_when_an_upload_was_refused_then_the_next_request_on_it_is_its_own(
    base: str, alice: Person, desk: Desk
) -> None:
    body = fields(desk, population="martian") + file(genotypes()) + END
    async with connect(base) as wire:
        await wire.send(start(alice, len(body)) + body + head("GET", "/users/me", alice.token))
        refused(await wire.answer(), 400, "unknown_population")
        assert statuses(await wire.rest_or(0.5)) == [200]
