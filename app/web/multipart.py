"""A scanner of `multipart/form-data` (RFC 7578, RFC 2046 §5.1.1) that is fed chunk by chunk and keeps nothing.

It finds delimiters at the speed of `bytes.find`, hands out slices of what it was fed, and bounds everything that it holds back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

from app.core.errors import BrokenUpload, InvalidInput, UnsupportedMedia

MAX_HEADER_BYTES = 16 * 1024
"""All headers of one part. Browsers and curl write about 200 bytes and the file's name."""
MAX_PREAMBLE_BYTES = 4 * 1024
_MAX_LINE_BYTES = (
    256  # the rest of a delimiter's line: blanks only (RFC 2046 §5.1.1, transport-padding)
)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 §5.1.1
_PARAMETER = re.compile(
    r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))', re.DOTALL
)
_ESCAPE = re.compile(r'\\(["\\])')
_TRANSPARENT = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins. `file_name` is None for a text field."""

    name: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is whole."""


Event = PartBegin | memoryview | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    LINE = auto()
    """The rest of a delimiter's line."""
    HEADERS = auto()
    BODY = auto()
    END = auto()


class MultipartScanner:
    """Turns chunks into events."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._state = _State.PREAMBLE
        self._held = b"\r\n"  # so that a delimiter at the very beginning is like all others
        self._preamble_bytes = 0
        self._fed = 0
        self.position = 0
        """How many bytes of the body stand before the content of the part that began last."""

    @property
    def is_complete(self) -> bool:
        """Whether the closing delimiter was seen."""
        return self._state is _State.END

    def feed(self, data: bytes) -> Iterator[Event]:
        """Give what follows from the next chunk. Raises BrokenUpload, InvalidInput, UnsupportedMedia."""
        start = self._fed - len(self._held)
        self._fed += len(data)
        if self._held:
            data, self._held = self._held + data, b""
        at: int | None = 0
        while at is not None and at < len(data):
            if self._state is _State.BODY:
                stop, after = self._find_delimiter(data, at)
                if stop > at:
                    yield memoryview(data)[at:stop]
                if after is not None:
                    yield PartEnd()
                at = after
            elif self._state is _State.HEADERS:
                begin, at = self._read_headers(data, at)
                if begin is not None:
                    self.position = start + (at or 0)
                    yield begin
            elif self._state is _State.LINE:
                at = self._read_line(data, at)
            elif self._state is _State.PREAMBLE:
                at = self._skip_preamble(data, at)
            else:
                return  # whatever follows the closing delimiter means nothing (RFC 2046 §5.1.1, epilogue)

    def _find_delimiter(self, data: bytes, at: int) -> tuple[int, int | None]:
        """Give where the content ends in `data`, and the place behind the delimiter once it has come."""
        found = data.find(self._delimiter, at)
        if found >= 0:
            self._state = _State.LINE
            return found, found + len(self._delimiter)
        # One may have begun: of its bytes only the first is a CR.
        tail = data.rfind(b"\r", max(at, len(data) - len(self._delimiter) + 1))
        if tail >= 0 and self._delimiter.startswith(data[tail:]):
            self._held = data[tail:]
            return tail, None
        return len(data), None

    def _skip_preamble(self, data: bytes, at: int) -> int | None:
        stop, after = self._find_delimiter(data, at)
        self._preamble_bytes += stop - at
        if self._preamble_bytes > MAX_PREAMBLE_BYTES:
            raise BrokenUpload("The body does not begin with the boundary that its header names")
        return after

    def _read_line(self, data: bytes, at: int) -> int | None:
        """Read what follows a delimiter: `--` at the very end, else blanks and a line end."""
        if data.startswith(b"--", at):
            self._state = _State.END
            return None
        end = data.find(b"\r\n", at, at + _MAX_LINE_BYTES)
        rest = data[at : end if end >= 0 else at + _MAX_LINE_BYTES]
        is_short = len(rest) < _MAX_LINE_BYTES
        if end < 0 and is_short and (rest == b"-" or not rest.strip(b" \t\r")):
            self._held = rest
            return None
        if end < 0 or rest.strip(b" \t"):
            raise BrokenUpload("The boundary of the body stands inside its content")
        self._state = _State.HEADERS
        # The line end belongs to the headers: a part without any has an empty line here.
        return end

    def _read_headers(self, data: bytes, at: int) -> tuple[PartBegin | None, int | None]:
        end = data.find(b"\r\n\r\n", at, at + MAX_HEADER_BYTES)
        if end >= 0:
            self._state = _State.BODY
            return read_headers(data[at + 2 : end]), end + 4
        if len(data) - at >= MAX_HEADER_BYTES:
            raise InvalidInput(
                "The headers of a part are too long",
                code="part_headers_too_long",
                action="Give the file a shorter name.",
            )
        self._held = data[at:]
        return None, None


def read_boundary(content_type: str) -> bytes:
    """Give the boundary that a Content-Type names. Raises UnsupportedMedia, InvalidInput."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise UnsupportedMedia(
            "The body must be a form with files",
            action="Send it as multipart/form-data: curl -F input_file=@chr20.vcf.gz …",
        )
    boundary = dict(_parameters(f";{parameters}")).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidInput(
            "The Content-Type names no usable boundary",
            code="no_boundary",
            action="Let the client write the header: with curl, use -F and do not set Content-Type.",
        )
    return boundary.encode()


def read_headers(head: bytes) -> PartBegin:
    """Read the headers of a part. Raises BrokenUpload, InvalidInput."""
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise InvalidInput(
            "A part holds parts of its own, which is not read",
            code="nested_multipart",
            action="Send each file as a part: with curl, -F input_file=@chr20.vcf.gz -F input_file=@chr21.vcf.gz",
        )
    if headers.get("content-transfer-encoding", "").lower() not in _TRANSPARENT:
        raise InvalidInput(
            "A part is encoded",
            code="encoded_part",
            action="Send its bytes as they are, without «Content-Transfer-Encoding».",
        )
    kind, _, parameters = headers.get("content-disposition", "").partition(";")
    given = dict(_parameters(f";{parameters}"))
    if kind.strip().lower() != "form-data" or "name" not in given:
        raise BrokenUpload("A part does not say which field it is")
    return PartBegin(given["name"], _file_name(given))


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    r"""Read `; name=value; name="value"`. In quotes, browsers write %22, %0D and %0A (WHATWG), curl writes \" and \\."""
    for name, quoted, plain in _PARAMETER.findall(text):
        value = _ESCAPE.sub(r"\1", quoted) if quoted else plain.strip()
        yield name.lower(), value


def _file_name(given: dict[str, str]) -> str | None:
    extended = given.get("filename*")  # RFC 5987, which some libraries write for names beyond ASCII
    if extended is not None and extended.lower().startswith("utf-8''"):
        return unquote_to_bytes(extended[7:]).decode("utf-8", "replace")
    name = given.get("filename")
    if name is None:
        return None
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
