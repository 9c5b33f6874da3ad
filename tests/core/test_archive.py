"""The archive made on the fly: a ZIP that every reader opens, whose size is known and any range of which can be served."""

import io
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from app.core.archive import ArchiveLayout, Member, Span, fingerprint

FILES = {
    "chr20.dose.vcf.gz": random.Random(1).randbytes(10_000),
    "statistics/snps-excluded.txt": b"nothing\n",
    "empty.txt": b"",
    "Ergebnisse für Zoë 🧬.html": b"<html></html>",
}


ZEROS = zlib.crc32(bytes(5))


def layout_of(files: dict[str, bytes]) -> ArchiveLayout:
    return ArchiveLayout(
        [Member(name, len(data), zlib.crc32(data), name) for name, data in files.items()]
    )


def bytes_of(
    layout: ArchiveLayout, files: dict[str, bytes], start: int = 0, stop: int | None = None
) -> bytes:
    out = []
    for span in layout.spans(start, layout.size_bytes if stop is None else stop):
        data = (
            span.data
            if span.key is None
            else files[span.key][span.offset : span.offset + span.size_bytes]
        )
        assert len(data) == span.size_bytes > 0
        out.append(data)
    return b"".join(out)


def test_archive_when_opened_then_holds_the_files() -> None:
    layout = layout_of(FILES)
    raw = bytes_of(layout, FILES)
    assert len(raw) == layout.size_bytes
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == FILES
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("program", [["7zz", "t"], ["unzip", "-tq"]], ids=lambda words: words[0])
def test_archive_when_opened_by_other_programs_then_is_whole(
    tmp_path: Path, program: list[str]
) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    path = tmp_path / "results.zip"
    path.write_bytes(bytes_of(layout_of(FILES), FILES))
    done = subprocess.run([*program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_archive_when_read_as_a_stream_then_sizes_stand_before_the_data() -> None:
    raw = bytes_of(layout_of(FILES), FILES)
    flags, size = struct.unpack_from("<H", raw, 6)[0], struct.unpack_from("<L", raw, 22)[0]
    assert flags & 0x08 == 0
    assert size == 10_000


def test_archive_when_it_holds_nothing_then_is_a_valid_zip() -> None:
    layout = ArchiveLayout([])
    assert zipfile.ZipFile(io.BytesIO(bytes_of(layout, {}))).namelist() == []


def test_range_when_any_is_asked_for_then_is_that_part_of_the_whole() -> None:
    layout = layout_of(FILES)
    raw = bytes_of(layout, FILES)
    dice = random.Random(2)
    places = [0, 1, 29, 30, 46, 47, 48, len(raw) - 22, len(raw) - 1, len(raw)]
    places += [dice.randrange(len(raw)) for _ in range(60)]
    for start in places:
        for stop in places:
            if start < stop:
                assert bytes_of(layout, FILES, start, stop) == raw[start:stop]


def sparse(path: Path, layout: ArchiveLayout) -> None:
    """Write the archive with holes where the members' bytes are."""
    with path.open("wb") as out:
        for span in layout.spans(0, layout.size_bytes):
            if span.key is None:
                out.write(span.data)
            else:
                out.seek(span.size_bytes, io.SEEK_CUR)
        out.truncate(layout.size_bytes)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32, 5 * 2**32])
def test_archive_when_a_member_is_huge_then_uses_zip64(tmp_path: Path, size: int) -> None:
    layout = ArchiveLayout(
        [Member("a", 5, ZEROS, "a"), Member("big", size, 7, "b"), Member("c", 5, ZEROS, "c")]
    )
    path = tmp_path / "big.zip"
    sparse(path, layout)
    assert path.stat().st_size == layout.size_bytes
    with zipfile.ZipFile(path) as archive:
        assert [(item.filename, item.file_size) for item in archive.infolist()] == [
            ("a", 5),
            ("big", size),
            ("c", 5),
        ]
        for info in archive.infolist():  # opening reads the local header
            with archive.open(info) as member:
                assert member.read(1) == b"\0"


def test_archive_when_it_has_more_members_than_16_bits_count_then_uses_zip64() -> None:
    files = {f"{number}.txt": b"x" for number in range(65_536)}
    layout = layout_of(files)
    with zipfile.ZipFile(io.BytesIO(bytes_of(layout, files))) as archive:
        assert len(archive.infolist()) == 65_536


def test_fingerprint_when_anything_differs_then_differs() -> None:
    seen = {
        fingerprint(members)
        for members in (
            [],
            [("a", "1")],
            [("a", "2")],
            [("b", "1")],
            [("a", "1"), ("b", "1")],
            [("b", "1"), ("a", "1")],
            [("a:1;1", "1")],
        )
    }
    assert len(seen) == 7
    assert fingerprint([("a", "1")]) == fingerprint([("a", "1")])


def test_cut_when_it_is_of_a_file_then_moves_the_offset() -> None:
    assert Span(10, key="k", offset=3).cut(2, 5) == Span(3, key="k", offset=5)
