"""The index of a file that is there already, judged by tabix itself where it is installed, and by our own writer."""

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from app.genotypes.bgzf import read_lines
from app.genotypes.indexing import MAX_END, NotIndexable, index_bytes
from app.genotypes.inspector import Inspector
from app.genotypes.tabix import write_indexed_vcf
from tests.genotypes.vcf_files import bgzf, header, record

needs_tabix = pytest.mark.skipif(shutil.which("tabix") is None, reason="tabix is not installed")


def content(positions: list[int], block_bytes: int, chromosome: str = "20") -> bytes:
    lines = [record(position, chromosome=chromosome) for position in positions]
    return bgzf(header() + "".join(lines), block_bytes)


@needs_tabix
@pytest.mark.parametrize("block_bytes", [1, 37, 500, 65280])
def test_index_when_blocks_are_of_any_size_then_tabix_finds_what_a_scan_finds(
    tmp_path: Path, block_bytes: int
) -> None:
    rng = random.Random(block_bytes)
    count = 60 if block_bytes < 100 else 3000
    positions = sorted(rng.sample(range(1, 60_000_000), count))
    path = tmp_path / "chr20.vcf.gz"
    path.write_bytes(content(positions, block_bytes))
    Path(f"{path}.tbi").write_bytes(index_bytes(path))
    for _ in range(25):
        start = rng.choice(positions) - rng.randrange(1000)
        stop = start + rng.choice([1, 20_000, 3_000_000])
        asked = f"20:{max(1, start)}-{stop}"
        run = subprocess.run(
            ["tabix", str(path), asked], capture_output=True, text=True, check=True
        )
        found = [int(line.split("\t")[1]) for line in run.stdout.splitlines()]
        assert found == [place for place in positions if max(1, start) <= place <= stop], asked
        assert run.stderr == ""


def test_index_when_our_writer_wrote_the_file_then_both_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "chr20.vcf.gz"
    lines = [(100 * n, "A", record(100 * n).rstrip("\n").encode()) for n in range(1, 4000)]
    write_indexed_vcf(path, header().splitlines(), "20", lines)
    written = b"\n".join(read_lines(Path(f"{path}.tbi")))
    again = tmp_path / "again.tbi"
    again.write_bytes(index_bytes(path))
    made = b"\n".join(read_lines(again))
    assert len(made) == len(written)
    # They differ in where the file ends: before or behind its last block, which is the same place to a reader.
    differing = sum(a != b for a, b in zip(made, written, strict=True))
    assert differing <= 16
    assert struct.unpack_from("<4s9i", made)[0] == b"TBI\1"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no gzip at all",
        content([5, 4], 65280),
        content([1, MAX_END], 65280),
        content([1, 2], 65280)[:-40],
        bgzf(header()),
        bgzf(header() + record(1) + record(2, chromosome="21")),
        bgzf("a line\nanother\n"),
    ],
    ids=["empty", "plain", "unsorted", "far", "cut", "no records", "two chromosomes", "no vcf"],
)
def test_index_when_there_can_be_none_then_says_so(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(raw)
    with pytest.raises(NotIndexable):
        index_bytes(path)


async def test_inspector_when_asked_for_an_index_then_a_process_of_its_own_makes_it(
    tmp_path: Path,
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(content([1, 2, 3], 65280))
    bad.write_bytes(b"x")
    inspector = Inspector(max_workers=1)
    try:
        assert await inspector.index(good) == index_bytes(good)
        assert await inspector.index(bad) is None
        with pytest.raises(FileNotFoundError):
            await inspector.index(tmp_path / "absent")
    finally:
        await inspector.close()
