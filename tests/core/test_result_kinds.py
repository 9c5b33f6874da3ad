"""What a job's files are, by the names that servers give them."""

from dataclasses import dataclass

import pytest

from app.core.result_kinds import grouped, is_report, kind_of


@pytest.mark.parametrize(
    ("role", "name", "key"),
    [
        ("result", "chr20.dose.vcf.gz", "dosages"),
        ("result", "chr20.empiricalDose.vcf.gz", "empirical"),
        ("result", "chr20.dose.vcf.gz.tbi", "index"),
        ("result", "chr20.info.gz", "info"),
        ("result", "imputed.bcf", "genotypes"),
        ("result", "chr_20.zip", "archive"),
        ("qc", "quality-control.html", "report"),
        ("qc", "qc_report.txt", "summary"),
        ("qc", "statistics/snps-excluded.txt", "excluded"),
        ("qc", "statistics/typed-only.txt", "typed_only"),
        ("qc", "snps-typed-only.txt", "typed_only"),
        ("qc", "statistics/chunks-excluded.txt", "chunks"),
        ("qc", "chrX-info.txt", "ploidy"),
        ("qc", "results.md5", "checksums"),
        ("qc", "chunks_summary.txt", "statistics"),
        ("log", "anything.vcf.gz", "log"),
        ("result", "mystery", "other"),
    ],
)  # fmt: skip
def test_kind_when_a_server_names_a_file_so_then_it_is_known(
    role: str, name: str, key: str
) -> None:
    kind = kind_of(role, name)
    assert kind.key == key
    assert kind.holds.endswith(".")


@dataclass(frozen=True)
class Placed:
    role: str
    name: str


def test_grouped_when_shown_then_what_analyses_read_comes_first() -> None:
    files = [
        Placed("log", "x.log"),
        Placed("qc", "quality-control.html"),
        Placed("result", "chr2.info.gz"),
        Placed("result", "chr2.dose.vcf.gz"),
        Placed("result", "chr1.dose.vcf.gz"),
    ]
    groups = grouped(files)
    assert [kind.key for kind, _ in groups] == ["dosages", "info", "report", "log"]
    assert [file.name for file in groups[0][1]] == ["chr2.dose.vcf.gz", "chr1.dose.vcf.gz"]


def test_report_when_it_is_html_of_a_person_then_it_is_none() -> None:
    assert is_report("qc", "text/html; charset=utf-8")
    assert not is_report("input", "text/html")
    assert not is_report("qc", "text/plain; charset=utf-8")
