"""The check takes the same memory whatever the size of the file."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.genotypes.bgzf import EOF_BLOCK, compress_block
from tests.genotypes.vcf_files import header

MIB = 1024 * 1024
MEASURE = """
import re, sys
from pathlib import Path
from app.genotypes.structure import inspect_file

def peak():  # not ru_maxrss, which starts from what the parent had
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024

inspect_file(Path(sys.argv[1]), display_name="small")
before = peak()
facts = inspect_file(Path(sys.argv[2]), display_name="large")
print(peak() - before, facts.uncompressed_bytes, facts.n_variants)
"""


def rows(first: int, count: int, n_samples: int) -> bytes:
    genotypes = b"\t0|0\t0|1\t1|0\t1|1" * (n_samples // 4)
    return b"".join(
        b"20\t%d\t.\tA\tG\t.\tPASS\t.\tGT%b\n" % (position, genotypes)
        for position in range(first, first + count)
    )


def write(path: Path, n_samples: int, n_rows: int, per_piece: int) -> None:
    with path.open("wb") as file:
        content = header([f"S{number}" for number in range(n_samples)]).encode()
        for first in [None, *range(1, n_rows, per_piece)]:
            if first is not None:
                content = rows(first, per_piece, n_samples)
            for start in range(0, len(content), 65280):
                file.write(compress_block(content[start : start + 65280], 1))
        file.write(EOF_BLOCK)


@pytest.mark.parametrize(
    ("n_samples", "n_rows", "per_piece"),
    [(1_000, 50_000, 1_000), (150_000, 340, 10)],
    ids=["many lines", "long lines"],
)
def test_inspect_when_file_is_large_then_memory_stays_small(
    tmp_path: Path, n_samples: int, n_rows: int, per_piece: int
) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    write(small, 20, 10, 10)
    write(large, n_samples, n_rows, per_piece)
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, small, large],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    grown, uncompressed, n_variants = map(int, measured.stdout.split())
    assert uncompressed > 190 * MIB
    assert n_variants == n_rows
    assert grown < 32 * MIB
