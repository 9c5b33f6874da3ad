"""Reading and writing BGZF, against htslib's own bgzip."""

import gzip
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.genotypes.bgzf import (
    EOF_BLOCK,
    BgzfError,
    BgzfReader,
    BgzfWriter,
    compress_block,
    has_eof_block,
    read_lines,
)
from tests.genotypes.tools import needs_htslib

CONTENTS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a line": lambda: b"one\n",
    "exactly a block": lambda: b"x" * 65280,
    "a block and a byte": lambda: b"x" * 65281,
    "incompressible": lambda: random.Random(1).randbytes(300_000),
    "long": lambda: b"0|0\t" * 500_000,
}


def read_all(path: Path) -> bytes:
    with path.open("rb") as file:
        return b"".join(BgzfReader(file.fileno()).batches())


def write(path: Path, content: bytes, piece: int = 10_000) -> Path:
    with BgzfWriter(path) as out:
        for start in range(0, len(content), piece):
            out.write(content[start : start + piece])
    return path


@pytest.mark.parametrize("case", CONTENTS)
def test_writer_when_content_is_written_then_it_reads_back(tmp_path: Path, case: str) -> None:
    content = CONTENTS[case]()
    path = write(tmp_path / "x.gz", content)
    assert read_all(path) == content
    assert gzip.decompress(path.read_bytes()) == content
    assert has_eof_block(path)


@needs_htslib
@pytest.mark.parametrize("case", CONTENTS)
def test_writer_when_bgzip_reads_it_then_it_agrees(tmp_path: Path, case: str) -> None:
    content = CONTENTS[case]()
    path = write(tmp_path / "x.gz", content)
    subprocess.run(["bgzip", "--test", path], check=True)
    assert subprocess.run(["bgzip", "-dc", path], check=True, capture_output=True).stdout == content


@needs_htslib
@pytest.mark.parametrize("case", CONTENTS)
@pytest.mark.parametrize("level", ["0", "1", "9"])
def test_reader_when_bgzip_wrote_it_then_it_agrees(tmp_path: Path, case: str, level: str) -> None:
    content = CONTENTS[case]()
    (tmp_path / "x").write_bytes(content)
    subprocess.run(["bgzip", "-l", level, tmp_path / "x"], check=True)
    assert read_all(tmp_path / "x.gz") == content


def test_writer_when_told_then_offset_leads_back_to_the_line(tmp_path: Path) -> None:
    lines = [b"%d\n" % number * 50 for number in range(5_000)]
    offsets = []
    with BgzfWriter(tmp_path / "x.gz") as out:
        for line in lines:
            offsets.append(out.tell())
            out.write(line)
    packed = (tmp_path / "x.gz").read_bytes()
    for number in (0, 1, 2_500, 4_999):
        block, within = offsets[number] >> 16, offsets[number] & 0xFFFF
        assert gzip.decompress(packed[block:])[within:].startswith(lines[number])


def test_writer_when_the_body_fails_then_no_end_mark_is_written(tmp_path: Path) -> None:
    def fail() -> None:
        with BgzfWriter(tmp_path / "x.gz") as out:
            out.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not has_eof_block(tmp_path / "x.gz")


def test_reader_when_blocks_are_tiny_then_batches_are_full(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(compress_block(b"ab") * 2_000 + EOF_BLOCK)
    with (tmp_path / "x.gz").open("rb") as file:
        batches = list(BgzfReader(file.fileno()).batches(batch_bytes=1_000))
    assert [len(batch) for batch in batches] == [1_000] * 4


def test_reader_when_block_claims_more_than_64_kib_then_no_memory_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deflate.deflate_decompress", None)
    block = compress_block(b"x" * 100)
    (tmp_path / "x.gz").write_bytes(block[:-4] + (2**31).to_bytes(4, "little"))
    with pytest.raises(BgzfError) as caught:
        read_all(tmp_path / "x.gz")
    assert (caught.value.kind, caught.value.offset) == ("corrupt", 0)


def test_reader_when_second_block_is_damaged_then_tells_its_offset(tmp_path: Path) -> None:
    first, second = compress_block(b"x" * 100), compress_block(b"y" * 100)
    damaged = second[:-6] + bytes([second[-6] ^ 1]) + second[-5:]
    (tmp_path / "x.gz").write_bytes(first + damaged + EOF_BLOCK)
    with pytest.raises(BgzfError) as caught:
        read_all(tmp_path / "x.gz")
    assert (caught.value.kind, caught.value.offset) == ("corrupt", len(first))


def test_reader_when_file_ends_inside_a_block_then_tells_where_it_begins(tmp_path: Path) -> None:
    first = compress_block(b"x" * 100)
    (tmp_path / "x.gz").write_bytes(first + first[:20])
    with pytest.raises(BgzfError) as caught:
        read_all(tmp_path / "x.gz")
    assert (caught.value.kind, caught.value.offset) == ("truncated", len(first))


@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"a\n\nb", b"line\n" * 300_000])
def test_read_lines_when_file_is_read_then_gives_them_without_newlines(
    tmp_path: Path, text: bytes
) -> None:
    lines = list(read_lines(write(tmp_path / "x.gz", text)))
    assert lines == text.removesuffix(b"\n").split(b"\n") if text else lines == []


@pytest.mark.parametrize("size", [0, 1, 27])
def test_has_eof_block_when_file_is_too_short_then_false(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.gz").write_bytes(EOF_BLOCK[:size])
    assert not has_eof_block(tmp_path / "x.gz")
