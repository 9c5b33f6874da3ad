"""What is read of an imputation's sites, with the traps of its files."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.genotypes import info
from app.genotypes.quality import Analysis, ResultFile, analyse, choose_sources

BEAGLE = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Estimated ALT Allele Frequencies">\n'
    '##INFO=<ID=DR2,Number=A,Type=Float,Description="Dosage R-Squared: estimated squared correlation">\n'
    '##INFO=<ID=IMP,Number=0,Type=Flag,Description="Imputed marker">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
)
"""The head that Beagle 5 writes."""
HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TABLE = "SNP\tREF(0)\tALT(1)\tALT_Frq\tMAF\tAvgCall\tRsq\tGenotyped\tLooRsq\tEmpR\tEmpRsq\n"


def site(position: int, info: str, alt: str = "G", chromosome: str = "20") -> str:
    return f"{chromosome}\t{position}\t.\tA\t{alt}\t.\tPASS\t{info}\n"


def analysed(folder: Path, **files: bytes) -> Analysis:
    """Analyse files; `__` in a name stands for a dot, `___` for a hyphen."""
    found = []
    for place, (word, content) in enumerate(files.items()):
        name = word.replace("___", "-").replace("__", ".")
        (folder / name).write_bytes(content)
        found.append(ResultFile(folder / name, name, place, None))
    return analyse(found, 60)


def test_sites_when_typed_or_typed_only_then_they_stay_out_of_imputed_r2(tmp_path: Path) -> None:
    text = HEAD + "".join(
        [
            site(100, "IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.29"),
            site(200, "TYPED;IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.95;ER2=0.1"),
            site(300, "TYPED;AF=0.2;MAF=0.2;AVG_CS=1;R2=1"),
            site(1_000_400, "IMPUTED;AF=0.1,0.2;MAF=.;R2=.", alt="G,T", chromosome="chrX"),
        ]
    )
    result = analysed(tmp_path, chr20__info__gz=gzip.compress(text.encode()))

    assert (result.imputed, result.typed, result.typed_only) == (2, 1, 1)
    assert (result.with_r2, result.mean_r2, result.multiallelic) == (1, 0.29, 1)
    assert result.r2_by_maf[4][29] == 1
    assert [item.name for item in result.chromosomes] == ["20", "X"]
    assert result.suspects_total == 1
    assert not result.is_partial


def test_file_when_it_breaks_off_then_the_result_is_partial_and_says_so(tmp_path: Path) -> None:
    text = HEAD + "".join(
        site(n, f"IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.{n % 997:03}") for n in range(50_000)
    )
    packed = gzip.compress(text.encode())
    result = analysed(tmp_path, chr20__info__gz=packed[: len(packed) // 2])
    assert result.is_partial
    assert "breaks off" in result.problems[0]
    assert 0 < result.imputed < 50_000

    result = analysed(tmp_path, chr20__info__gz=b"info")
    assert result.is_partial
    assert result.sites == 0


def test_table_of_older_server_when_read_then_counts_the_same_kinds(tmp_path: Path) -> None:
    text = TABLE + (
        "20:100:A:G\tA\tG\t0.2\t0.2\t0.9\t0.5\tImputed\t-\t-\t-\n"
        "20:200:A:G\tA\tG\t0.2\t0.2\t0.9\t0.9\tGenotyped\t0.9\t0.9\t0.8\n"
        "20:300:A:G\tA\tG\t0.2\t0.2\t-\t-\tTyped_Only\t-\t-\t-\n"
    )
    excluded = b"#Position\tFilterType\tInfo\n20:5:A:G\tMonomorphic\t\n"
    result = analysed(
        tmp_path, chr20__info__gz=gzip.compress(text.encode()), snps___excluded__txt=excluded
    )
    assert (result.imputed, result.typed, result.typed_only) == (1, 1, 1)
    assert result.excluded[0].reason == "Monomorphic"
    assert result.chromosomes[0].excluded == 1


def test_beagle_when_read_then_its_dr2_counts_and_what_it_does_not_flag_is_typed(
    tmp_path: Path,
) -> None:
    lines = [
        site(100, "DR2=0.95;AF=0.3").rstrip() + "\tGT:DS\t0|1:1\n",
        site(200, "DR2=0.40;AF=0.9;IMP").rstrip() + "\tGT:DS\t0|0:0\n",
        site(300, "DR2=0.60,0.10;AF=0.001,0.2;IMP", alt="G,T").rstrip() + "\tGT:DS\t0|0:0\n",
        site(400, "DR2=0.00;AF=0.0000;IMP").rstrip() + "\tGT:DS\t0|0:0\n",
    ]
    result = analysed(tmp_path, imputed__vcf__gz=gzip.compress((BEAGLE + "".join(lines)).encode()))

    assert (result.sites, result.imputed, result.typed, result.typed_only) == (4, 3, 1, 0)
    assert result.with_r2 == 3
    assert result.mean_r2 == pytest.approx(1 / 3, abs=1e-6)
    assert result.multiallelic == 1
    assert [row.sites for row in result.maf] == [1, 1, 0, 0, 1, 0]
    assert result.mean_frequency == pytest.approx(0.901 / 3, abs=1e-6)
    assert not result.is_partial


def test_dose_when_no_info_file_is_beside_it_then_its_sites_count(tmp_path: Path) -> None:
    head = HEAD.rstrip("\n") + "\tFORMAT\tS1\n"
    lines = [
        site(100, "AF=0.2;MAF=0.2;R2=0.5;IMPUTED").rstrip() + "\tGT:DS\t0|0:0.1\n",
        site(200, "AF=0.7;MAF=0.3;R2=0.9;ER2=0.8;TYPED;IMPUTED").rstrip() + "\tGT:DS\t0|0:0.1\n",
        site(300, "AF=0.7;MAF=0.3;TYPED").rstrip() + "\tGT:DS\t0|0:0\n",
    ]
    dose = gzip.compress((head + "".join(lines)).encode())
    result = analysed(tmp_path, chr20__dose__vcf__gz=dose, chr20__empiricalDose__vcf__gz=dose)

    assert [source.name for source in result.sources] == ["chr20.dose.vcf.gz"]
    assert (result.imputed, result.typed, result.typed_only) == (1, 1, 1)
    assert (result.mean_r2, result.mean_er2) == (0.5, 0.8)
    assert not result.is_partial


def after(calls: int) -> Callable[[], float]:
    """Give a clock that stands still for so many looks, and then is far ahead."""
    looks = iter(range(calls))
    return lambda: 0.0 if next(looks, None) is not None else 1e6


def test_time_when_over_then_what_was_read_until_then_is_given_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEAD + "".join(
        site(n, "IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.5") for n in range(100_000)
    )
    monkeypatch.setattr(info, "monotonic", after(3))
    result = analysed(
        tmp_path,
        chr20__info__gz=gzip.compress(text.encode(), 1),
        snps___excluded__txt=b"20:5:A:G\tMonomorphic\t\n",
    )

    assert 0 < result.imputed < 100_000
    assert result.is_partial
    assert result.problems == [
        "chr20.info.gz: reading took longer than is allowed",
        "snps-excluded.txt: reading took longer than is allowed",
    ]


def test_size_when_more_than_is_read_then_the_rest_is_left_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEAD + "".join(
        site(n, "IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.5") for n in range(100_000)
    )
    packed = gzip.compress(text.encode(), 1)
    monkeypatch.setattr(info, "MAX_UNCOMPRESSED_BYTES", len(text) // 2)
    result = analysed(tmp_path, chr20__info__gz=packed)
    assert 0 < result.imputed < 100_000
    assert result.problems == ["chr20.info.gz: the file is larger than is read"]

    monkeypatch.undo()
    monkeypatch.setattr(info, "MAX_LINE_BYTES", 1000)
    result = analysed(tmp_path, chr20__info__gz=gzip.compress((HEAD + "A" * 600_000).encode()))
    assert result.problems == ["chr20.info.gz: a line is longer than is read"]
    assert result.is_partial


def test_sources_when_info_files_are_there_then_doses_are_read_for_the_others_only() -> None:
    names = ["chr1.dose.vcf.gz", "chr1.info.gz", "chr2.dose.vcf.gz", "chr1.empiricalDose.vcf.gz"]
    assert choose_sources(names) == [1, 2]
    assert choose_sources(["imputed.vcf.gz", "a.txt"]) == [0]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1)), max_size=30))
def test_histogram_when_summed_then_has_every_imputed_site(
    tmp_path: Path, sites: list[tuple[float, float]]
) -> None:
    text = HEAD + "".join(
        site(n, f"IMPUTED;AF={maf:.6f};MAF={maf:.6f};AVG_CS=1;R2={r2:.5f}")
        for n, (maf, r2) in enumerate(sites)
    )
    result = analysed(tmp_path, chr20__info__gz=gzip.compress(text.encode()))
    total = sum(map(sum, result.r2_by_maf))
    assert total == result.imputed == result.with_r2 == len(sites)
    assert sum(item.n for item in result.windows) == len(sites)
