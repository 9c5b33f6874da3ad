"""The multipart scanner: the same events however the bytes are cut, and bounds on all that it holds."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.errors import AppError, BrokenUpload, InvalidInput, UnsupportedMedia
from app.web.multipart import (
    MAX_HEADER_BYTES,
    MultipartScanner,
    PartBegin,
    PartEnd,
    read_boundary,
    read_headers,
)

Part = tuple[PartBegin, bytes]
BOUNDARY = b"bOuNdArY"


def scan(
    body: bytes, cuts: list[int] | None = None, boundary: bytes = BOUNDARY
) -> tuple[list[Part], bool]:
    """Give the parts and whether the closing delimiter came."""
    scanner = MultipartScanner(boundary)
    parts: list[Part] = []
    begin, content = None, bytearray()
    places = [0, *sorted(min(cut, len(body)) for cut in cuts or []), len(body)]
    for start, stop in pairwise(places):
        for event in scanner.feed(body[start:stop]):
            if isinstance(event, PartBegin):
                assert begin is None
                begin, content = event, bytearray()
            elif isinstance(event, PartEnd):
                assert begin is not None
                parts.append((begin, bytes(content)))
                begin = None
            else:
                assert begin is not None
                assert event
                content += event
    return parts, scanner.is_complete


def field(name: str, content: bytes, file_name: str | None = None) -> bytes:
    file = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'Content-Disposition: form-data; name="{name}"{file}'
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"

# Contents that look like delimiters without being any.
NASTY = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"-",
        b"--",
        b"\r\n--",
        b"\r\n--bOuNdAr",
        b"--bOuNdArY",
        b"\n--bOuNdArY",
        b"x",
        b"",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    contents=st.lists(st.lists(NASTY, max_size=6).map(b"".join), max_size=4),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_scan_when_cut_anywhere_then_gives_the_same_parts(
    contents: list[bytes], cuts: list[int]
) -> None:
    # A content holds no delimiter; and where one is taken out, what stood around it may make another.
    delimiter = b"\r\n--" + BOUNDARY
    assume(not any(delimiter in content for content in contents))
    body = (
        b"".join(field(f"f{number}", content, "n") for number, content in enumerate(contents)) + END
    )
    expected = [(PartBegin(f"f{number}", "n"), content) for number, content in enumerate(contents)]
    assert scan(body, cuts) == (expected, True)


def test_scan_when_fed_byte_by_byte_then_gives_the_same_parts() -> None:
    body = b"preamble\r\n" + field("a", b"1\r\n2") + field("b", b"\r\n", "x.gz") + END + b"epilogue"
    assert scan(body, list(range(len(body)))) == (
        [(PartBegin("a", None), b"1\r\n2"), (PartBegin("b", "x.gz"), b"\r\n")],
        True,
    )


@pytest.mark.parametrize("missing", [1, 2, 10, 40])
def test_scan_when_the_body_is_cut_short_then_is_not_complete(missing: int) -> None:
    body = (field("a", b"1") + END).removesuffix(b"\r\n")
    assert scan(body[:-missing])[1] is False


def test_scan_when_blanks_follow_the_boundary_then_takes_them() -> None:
    body = field("a", b"1").replace(BOUNDARY + b"\r\n", BOUNDARY + b" \t \r\n") + END
    assert scan(body) == ([(PartBegin("a", None), b"1")], True)
    assert scan(body, list(range(len(body)))) == ([(PartBegin("a", None), b"1")], True)


@pytest.mark.parametrize(
    "body",
    [
        field("a", b"1\r\n--" + BOUNDARY + b"x") + END,
        b"--" + BOUNDARY + b"-\r\n\r\n",
        b"--" + BOUNDARY + b" " * 100_000,
        b"--" + BOUNDARY + b"\r\n\r\nno headers\r\n" + END,
        b"--" + BOUNDARY + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END,
        b"--" + BOUNDARY + b"\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n" + END,
        b"x" * 100_000,
        b"--" + BOUNDARY + b"\n" + b"Content-Disposition: form-data; name=a\n\nx\n" + END,
    ],
)
def test_scan_when_the_framing_is_wrong_then_is_refused(body: bytes) -> None:
    for cuts in ([], list(range(min(len(body), 2000)))):
        with pytest.raises(BrokenUpload):
            scan(body, cuts)


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES, 1024 * 1024])
def test_scan_when_headers_never_end_then_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        scan(b"--" + BOUNDARY + b"\r\nX: " + b"y" * size, [1000, 2000, 20_000])
    assert caught.value.code == "part_headers_too_long"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (b"Content-Type: multipart/mixed; boundary=x\r\n", "nested_multipart"),
        (b"Content-Transfer-Encoding: base64\r\n", "encoded_part"),
    ],
)
def test_scan_when_a_part_is_wrapped_then_is_refused(headers: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_headers(headers + b'Content-Disposition: form-data; name="a"')
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data; name=a", "a", None),
        ('FORM-DATA; NAME="a"; FILENAME=""', "a", ""),
        ('form-data; filename="b.gz"; name="a"', "a", "b.gz"),
        ('form-data; name="a"; filename="x; name=\\"b\\".gz"', "a", 'x; name="b".gz'),
        ('form-data; name="a"; filename="C:\\dir\\x.gz"', "a", "C:\\dir\\x.gz"),
        ('form-data; name="a"; filename="%22%0D%0A.gz"', "a", '"\r\n.gz'),
        ('form-data; name="a"; filename="100%.gz"', "a", "100%.gz"),
        ('form-data; name="a"; filename="x"; filename*=UTF-8\'\'%F0%9F%A7%AC.gz', "a", "🧬.gz"),
        ('form-data; name="ä"; filename="🧬.gz"', "ä", "🧬.gz"),
        ('form-data; name=""', "", None),
    ],
)
def test_read_headers_when_clients_quote_differently_then_reads_names(
    disposition: str, name: str, file_name: str | None
) -> None:
    head = f"Content-Type: x/y\r\nContent-Disposition: {disposition}".encode()
    assert read_headers(head) == PartBegin(name, file_name)


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        (
            "multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_read_boundary_when_named_then_gives_it(header: str, boundary: bytes) -> None:
    assert read_boundary(header) == boundary


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", UnsupportedMedia),
        ("application/json", UnsupportedMedia),
        ("multipart/mixed; boundary=x", UnsupportedMedia),
        ("application/x-www-form-urlencoded", UnsupportedMedia),
        ("multipart/form-data", InvalidInput),
        ("multipart/form-data; boundary=", InvalidInput),
        ("multipart/form-data; boundary=" + "x" * 71, InvalidInput),
        ('multipart/form-data; boundary="a\tb"', InvalidInput),
        ("multipart/form-data; boundary=bö", InvalidInput),
    ],
)
def test_read_boundary_when_there_is_none_then_is_refused(
    header: str, error: type[AppError]
) -> None:
    with pytest.raises(error):
        read_boundary(header)


def test_scan_when_the_file_is_large_then_hands_out_slices_of_what_it_was_fed() -> None:
    scanner = MultipartScanner(BOUNDARY)
    list(scanner.feed(field("a", b"", "x").removesuffix(b"\r\n")))
    chunk = b"x" * 100_000
    (event,) = scanner.feed(chunk)
    assert isinstance(event, memoryview)
    assert event.obj is chunk


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_scan_when_a_part_begins_then_tells_where_in_the_body_its_content_is(size: int) -> None:
    body = (
        b"preamble\r\n"
        + field("a", b"one")
        + field("b", b"two" * 100, "x")
        + field("c", b"3", "y")
        + END
    )
    scanner = MultipartScanner(BOUNDARY)
    found = {}
    for at in range(0, len(body), size):
        for event in scanner.feed(body[at : at + size]):
            if isinstance(event, PartBegin):
                found[event.name] = scanner.position
    assert found == {
        name: body.index(content)
        for name, content in (("a", b"one"), ("b", b"two"), ("c", b"3\r\n"))
    }
