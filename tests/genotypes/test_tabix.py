"""Our index against htslib's."""

import random
import subprocess
from pathlib import Path

import pytest

from app.genotypes.tabix import write_indexed_vcf
from tests.genotypes.tools import needs_htslib

pytestmark = needs_htslib

LENGTH = 63_025_520
HEADER = [
    "##fileformat=VCFv4.2",
    f"##contig=<ID=20,length={LENGTH}>",
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA",
]


def make(path: Path, sites: list[tuple[int, str]]) -> Path:
    records = (
        (position, ref, f"20\t{position}\t.\t{ref}\t<X>\t.\t.\t.\tGT\t0|1".encode())
        for position, ref in sites
    )
    assert write_indexed_vcf(path, HEADER, "20", records) == len(sites)
    return path


def sites(seed: int, count: int, spread: int) -> list[tuple[int, str]]:
    rng = random.Random(seed)
    positions = sorted(rng.randrange(1, spread) for _ in range(count))
    return [
        (at, "A" * rng.choice((1, 1, 1, 5, 700, 20_000 if count < 2_000 else 1)))
        for at in positions
    ]


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


CASES = {
    "sparse": sites(1, 500, 60_000_000),
    "dense": sites(2, 20_000, 200_000),
    "one": [(1, "A")],
    "last base of a window": [(16_384, "A"), (16_385, "A"), (32_768, "AC"), (131_072, "ACG")],
    "long deletion over bins": [(100, "A" * 60_000), (70_000, "A")],
    "none": [],
}


@pytest.mark.parametrize("case", CASES)
def test_index_when_bcftools_asks_for_regions_then_gives_what_a_full_read_gives(
    tmp_path: Path, case: str
) -> None:
    path = make(tmp_path / "x.vcf.gz", CASES[case])
    rng = random.Random(3)
    edges = [1, 100, 16_384, 16_385, 32_769, 69_999, 131_073, 59_000_000]
    regions = [(at, at + width) for at in edges for width in (0, 1, 20_000, 3_000_000)]
    regions += [(at, at + rng.randrange(500_000)) for at in rng.choices(range(1, 60_000_000), k=5)]
    for begin, end in regions:
        expected = [at for at, ref in CASES[case] if at <= end and at + len(ref) > begin]
        found = run("bcftools", "query", "-f", "%POS\n", "-r", f"20:{begin}-{end}", path)
        assert list(map(int, found.split())) == expected


def test_index_when_htslib_counts_records_then_it_agrees(tmp_path: Path) -> None:
    path = make(tmp_path / "x.vcf.gz", CASES["dense"])
    assert run("bcftools", "index", "-n", path).strip() == "20000"
    assert run("bcftools", "index", "-s", path).split("\t")[0] == "20"
    assert run("tabix", "-l", path).strip() == "20"
    assert run("tabix", path, "20:1-100000") == run("bcftools", "view", "-Ht", "20:1-100000", path)


def test_write_when_records_fail_then_leaves_no_file_under_its_name(tmp_path: Path) -> None:
    def broken() -> list[tuple[int, str, bytes]]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_indexed_vcf(tmp_path / "x.vcf.gz", HEADER, "20", (each for each in [broken()[0]]))
    assert not list(tmp_path.glob("*.gz"))
    assert not list(tmp_path.glob("*.tbi"))
