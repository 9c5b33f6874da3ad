"""The commands that refusals advise are run, and what they make is accepted."""

import re
import subprocess
from pathlib import Path

import pytest

from app.genotypes.facts import InspectLimits
from app.genotypes.fileset import check_set
from app.genotypes.findings import Finding, StructureError
from app.genotypes.structure import inspect_file
from tests.genotypes.tools import needs_htslib
from tests.genotypes.vcf_files import bgzf, header, plain_gzip, record, vcf

pytestmark = needs_htslib

CONTIGS = ("##contig=<ID=20>", "##contig=<ID=21>")
DECLARED = (
    *CONTIGS,
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">',
    '##INFO=<ID=X,Number=1,Type=String,Description="x">',
)
HEADER = header(("A", "B"), *DECLARED)
COMMAND = re.compile(r": ((?:bgzip|gunzip|mv|bcftools|echo) .*?)(?:\. Otherwise.*)?$")

CASES = {
    "plain": (vcf().encode(), "my cohort.vcf", ["my cohort.vcf.gz"]),
    "plain, named .gz": (vcf().encode(), "cohort.vcf.gz", ["cohort.vcf.gz"]),
    "gzip": (plain_gzip(vcf()), "-c; exit.vcf.gz", ["-c; exit.bgz.vcf.gz"]),
    "Windows": (bgzf(vcf().replace("\n", "\r\n")), "it's.vcf.gz", ["fixed.vcf.gz"]),
    "unsorted": (bgzf(HEADER + record(9) + record(5)), "x.vcf.gz", ["sorted.vcf.gz"]),
    "chromosomes": (
        bgzf(HEADER + record(9) + record(5, chromosome="21")),
        "x.vcf.gz",
        ["20.vcf.gz", "21.vcf.gz"],
    ),
    "GT not first": (
        bgzf(HEADER + record(9, form="DP:GT", genotypes=["1:0|1", "1:0|0"])),
        "x.vcf.gz",
        ["genotypes.vcf.gz"],
    ),
    "REF as ALT": (bgzf(vcf(record(5), record(6, alt="A"))), "x.vcf.gz", ["fixed.vcf.gz"]),
    "long line": (
        bgzf(HEADER + record(5) + record(6, info="X=" + "y" * 2**20)),
        "x.vcf.gz",
        ["genotypes.vcf.gz"],
    ),
}


def run_advice(finding: Finding, folder: Path) -> None:
    command = COMMAND.search(finding.action)
    assert command is not None, finding.action
    subprocess.run(["bash", "-ec", command[1]], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("case", CASES)
def test_advice_when_its_command_is_run_then_the_result_is_accepted(
    tmp_path: Path, case: str
) -> None:
    content, name, results = CASES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StructureError) as caught:
        inspect_file(tmp_path / name, display_name=name)

    run_advice(caught.value.finding, tmp_path)

    for result in results:
        assert inspect_file(tmp_path / result, display_name=result).n_variants >= 1


@pytest.mark.parametrize(("chromosome", "build"), [("20", "hg38"), ("chr20", "hg19")])
def test_advice_when_prefix_is_renamed_then_the_set_fits(
    tmp_path: Path, chromosome: str, build: str
) -> None:
    text = header(("A", "B"), f"##contig=<ID={chromosome}>", *DECLARED[2:])
    content = bgzf(text + record(9, chromosome=chromosome))
    (tmp_path / "x.vcf.gz").write_bytes(content)
    facts = inspect_file(tmp_path / "x.vcf.gz", display_name="x.vcf.gz", limits=InspectLimits())
    (finding,) = check_set([facts], build)

    run_advice(finding, tmp_path)

    renamed = "chr20.vcf.gz" if build == "hg38" else "20.vcf.gz"
    facts = inspect_file(tmp_path / renamed, display_name=renamed)
    assert check_set([facts], build) == []
