"""What the browser says of a file before its upload is what the platform says after it."""

import base64
from pathlib import Path
from typing import Any

import pytest

from app.genotypes.builds import CHROMOSOMES, CONTIG_LENGTHS, NAMES
from app.genotypes.findings import StructureError
from app.genotypes.remarks import FEW_SAMPLES
from app.genotypes.testdata import write_test_files
from app.web.assets import load
from tests.genotypes.vcf_files import bgzf, header, inspect_bytes, plain_gzip, record
from tests.support.browsing import Visitor

SAMPLES = tuple(f"S{number}" for number in range(25))
TABLES = {
    "lengths": CONTIG_LENGTHS,
    "chromosomes": sorted(CHROMOSOMES),
    "names": {build: pattern.pattern.decode() for build, pattern in NAMES.items()},
    "few_samples": FEW_SAMPLES,
}
_INSPECT = """async ([url, tables, files]) => {
    const { inspect } = await import(url);
    const found = [];
    for (const [name, text] of files) {
        const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
        const { ids, ...facts } = await inspect(new File([bytes], name), tables);
        found.push(facts);
    }
    return found;
}"""


def vcf(
    *lines: str, chromosome: str = "20", at: int = 1000, samples: tuple[str, ...] = SAMPLES
) -> str:
    records = [
        record(at + place, chromosome=chromosome, genotypes=["0/1"] * len(samples))
        for place in range(300)
    ]
    return header(samples, *lines) + "".join(records)


async def inspect(visitor: Visitor, files: dict[str, bytes]) -> list[dict[str, Any]]:
    page = await visitor.open("/ui/sign-in")
    packed = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    found: list[dict[str, Any]] = await page.evaluate(
        _INSPECT, [load().url("js/vcf-header.js"), TABLES, packed]
    )
    return found


def codes(facts: dict[str, Any], level: str = "bad") -> list[str]:
    return [item["code"] for item in facts["findings"] if item["level"] == level]


async def test_files_when_the_platform_refuses_them_then_the_browser_says_so_in_the_same_words(
    visitor: Visitor, tmp_path: Path
) -> None:
    whole = bgzf(vcf())
    (test_file, *_) = write_test_files(tmp_path, None)
    files = {
        "empty": b"",
        "nothing": bgzf(""),
        "plain": vcf().encode(),
        "gzip": plain_gzip(vcf()),
        "cut": whole[:-28],
        "cut in a block": whole[: len(whole) // 2],
        "appended": whole + b"x",
        "index": test_file.index_path.read_bytes(),
        "bcf": bgzf(b"BCF\x02\x02" + b"\0" * 100),
        "zip": b"PK\x03\x04" + b"\0" * 100,
        "page": b"<!doctype html><title>Sign in</title>",
        "text": b"hello\n",
        "bed": b"\x6c\x1b\x01" + b"\0" * 50,
        "no header": bgzf(record()),
        "old": bgzf(header(SAMPLES, version="VCFv3.3") + record(genotypes=["0/1"] * 25)),
        "no columns": bgzf("##fileformat=VCFv4.2\n" + record()),
        "windows": bgzf(vcf().replace("\n", "\r\n", 2)),
        "no samples": bgzf("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"),
        "twice": bgzf(vcf(samples=("A", "A"))),
        "no records": bgzf(header(SAMPLES)),
        "no genotypes": bgzf(header(SAMPLES) + record(form="DS", genotypes=["1"] * 25)),
        "contig": bgzf(vcf(chromosome="GL000192.1")),
        "several": bgzf(vcf() + record(5, chromosome="21", genotypes=["0/1"] * 25)),
    }  # fmt: skip
    for (name, content), facts in zip(files.items(), await inspect(visitor, files), strict=True):
        with pytest.raises(StructureError) as refused:
            inspect_bytes(tmp_path, content, name=name)
        code = str(refused.value.finding.code)
        assert code in codes(facts), (name, code, facts["findings"])


async def test_files_when_they_are_good_then_both_say_the_same_of_them(
    visitor: Visitor, tmp_path: Path
) -> None:
    tests = write_test_files(tmp_path, None)
    many = tuple(f"SAMPLE{number:06}" for number in range(40_000))
    files = {
        **{item.path.name: item.path.read_bytes() for item in tests},
        "hg38": bgzf(vcf("##contig=<ID=chr22,length=50818468>", chromosome="chr22")),
        "beyond": bgzf(vcf("##reference=GRCh38", at=63_025_600, chromosome="20")),
        "stale": bgzf(vcf("##contig=<ID=22,length=50818468>", at=51_000_000, chromosome="22")),
        "named": bgzf(vcf("##reference=file:///human_g1k_v37.fasta", chromosome="X")),
        "untold": bgzf(vcf(chromosome="MT")),
        "few": bgzf(vcf(samples=("A", "B"))),
        "many": bgzf(header(many) + record(genotypes=["0/1"] * len(many)), block_bytes=60_000),
        "long header": bgzf(vcf(*[f"##note={number:0300}" for number in range(9000)])),
        "small blocks": bgzf(vcf(), block_bytes=500),
    }
    for (name, content), facts in zip(files.items(), await inspect(visitor, files), strict=True):
        told = inspect_bytes(tmp_path, content, name=name)
        assert not codes(facts), (name, facts["findings"])
        assert facts["kind"] == "bgzip"
        assert facts["whole"]
        assert facts["version"] == told.vcf_version
        assert facts["samples"] == told.n_samples
        assert facts["chromosome"].removeprefix("chr") == told.chromosome
        assert facts["hasPrefix"] == told.has_chr_prefix
        assert facts["build"] == told.build_guess, (name, facts["votes"], told.build_evidence)
        assert facts["lastPosition"] == told.last_position, name
        known = {"build_doubtful", "few_samples"}
        warned = {str(item.code) for item in told.warnings}
        assert set(codes(facts, "warn")) == warned & known, name
