"""The test files and the masked data: their sizes, and that every program can read them."""

import gzip
import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.genotypes import testdata
from app.genotypes.example import ExamplePaths, find_example, read_samples, read_sites
from app.genotypes.facts import VcfFacts
from app.genotypes.findings import Code
from app.genotypes.structure import inspect_file
from tests.genotypes.tools import needs_htslib
from tests.genotypes.vcf_files import bgzf, header, record

KB = 1000
EXAMPLE = find_example()
needs_example = pytest.mark.skipif(EXAMPLE is None, reason="shapeit4-example is not installed")


def inspect(path: Path) -> VcfFacts:
    return inspect_file(path, display_name=path.name)


@pytest.fixture
def small_example(tmp_path: Path) -> ExamplePaths:
    """Files like those of the package: 2 + 2 samples, 30 sites 4 kb apart, one of them no SNP, one rare."""

    def write(name: str, samples: list[str], genotypes: Callable[[int], list[str]]) -> Path:
        rows = (
            record(
                1 + 4_000 * number,
                ref="AC" if number == 5 else "A",
                form="GT:PS",
                genotypes=genotypes(number),
            )
            for number in range(30)
        )
        path = tmp_path / name
        path.write_bytes(bgzf(header(samples, "##secret=path") + "".join(rows)))
        return path

    first = write("unphased.vcf.gz", ["A", "B"], lambda n: ["1|0:1", "0|0" if n == 9 else "1/1:."])
    second = write("reference.vcf.gz", ["C", "D"], lambda _: ["0|0:11", "0|0:."])
    gmap = tmp_path / "chr20.b37.gmap.gz"
    gmap.write_bytes(gzip.compress(b"pos\tchr\tcM\n"))
    return ExamplePaths(unphased=first, reference=second, genetic_map=gmap)


@pytest.mark.parametrize(
    "example",
    [pytest.param(EXAMPLE, marks=needs_example, id="real"), pytest.param(None, id="made")],
)
def test_write_test_files_when_written_then_sizes_are_as_named(
    tmp_path: Path, example: ExamplePaths | None
) -> None:
    files = testdata.write_test_files(tmp_path / "new", example)

    assert [file.path.name for file in files] == [
        "test_tiny_100var.vcf.gz",
        "test_small_1000var.vcf.gz",
        "test_medium_10kvar.vcf.gz",
    ]
    assert [file.n_variants for file in files] == [100, 1_000, 10_000]
    for file, about in zip(files, (20 * KB, 200 * KB, 2_000 * KB), strict=True):
        assert 0.75 * about < file.size_bytes < 1.3 * about
        assert file.simulated == (example is None)
        facts = inspect(file.path)
        assert facts.n_variants == facts.counts["snp"] == file.n_variants
        assert facts.n_samples == file.n_samples
        assert facts.size_bytes == file.size_bytes
        assert (facts.chromosome, facts.has_chr_prefix, facts.build_guess) == ("20", False, "hg19")
        assert facts.warnings == ()
        assert not facts.phased
    kind = "simulated" if example is None else "real"
    assert f"##testData=<kind={kind}," in gzip.decompress(files[0].path.read_bytes()).decode()
    assert (
        sorted(path.suffix for path in (tmp_path / "new").iterdir()) == [".gz"] * 3 + [".tbi"] * 3
    )


def test_write_test_files_when_simulated_then_the_seed_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testdata, "TEST_FILES", (("a.vcf.gz", 50),))
    one, two, other = (
        testdata.write_test_files(tmp_path / name, None, seed)[0].path.read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == two != other


def test_simulate_when_sites_are_neighbours_then_their_genotypes_are_correlated() -> None:
    sites = list(testdata.simulate_sites(400, 5))
    assert [site.key for site in testdata.simulate_sites(2, 5)] == [site.key for site in sites[:2]]
    positions = [site.position for site in sites]
    assert positions == sorted(set(positions))
    assert all(0 < site.alt_count < site.allele_count == 840 for site in sites)
    copies = [[each.count(b"1") for each in site.genotypes.split(b"\t")] for site in sites]
    r2 = np.corrcoef(copies) ** 2
    assert np.diag(r2, 1).max() > 0.3
    assert np.diag(r2, 300).mean() < np.diag(r2, 1).mean() / 3


def test_write_test_files_when_example_is_given_then_genotypes_are_its_own(
    tmp_path: Path, small_example: ExamplePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testdata, "TEST_FILES", (("some.vcf.gz", 10), ("most.vcf.gz", 29)))
    some, most = testdata.write_test_files(tmp_path / "out", small_example)
    assert (some.n_variants, most.n_variants) == (10, 29)
    assert read_samples(most.path) == ["A", "B", "C", "D"]
    genotypes = {site.position: site.genotypes for site in read_sites(most.path)}
    assert genotypes[1] == b"0/1\t1/1\t0/0\t0/0"
    assert genotypes[36_001] == b"0/1\t0/0\t0/0\t0/0"
    assert 20_001 not in genotypes  # the deletion
    assert b"secret" not in gzip.decompress(most.path.read_bytes())


def test_write_test_files_when_example_files_differ_then_says_so(
    tmp_path: Path, small_example: ExamplePaths
) -> None:
    small_example.reference.write_bytes(bgzf(header() + record(77)))
    with pytest.raises(ValueError, match="differ at position 1"):
        testdata.write_test_files(tmp_path / "out", small_example)


def test_choose_sites_when_common_ones_are_few_then_takes_the_most_common() -> None:
    frequencies = {(number, "A", "G"): number / 100 for number in range(50)}
    assert {key[0] for key in testdata.choose_sites(frequencies, 47)} == set(range(3, 50))
    evenly = sorted(key[0] for key in testdata.choose_sites(frequencies, 9))
    assert evenly == list(range(5, 50, 5))


def test_make_masked_when_split_then_target_and_truth_share_no_site(
    tmp_path: Path, small_example: ExamplePaths
) -> None:
    masked = testdata.make_masked(small_example, tmp_path / "out")
    target = {site.key: site for site in read_sites(masked.target_vcf)}
    truth = {site.key: site for site in read_sites(masked.truth_vcf)}
    assert (masked.n_samples, masked.n_target_sites, masked.n_truth_sites) == (2, 15, 15)
    assert not target.keys() & truth.keys()
    assert len(target) + len(truth) == 30
    positions = [site.position for site in target.values()]
    assert min(b - a for a, b in itertools.pairwise(positions)) >= 6_000
    assert {site.genotypes for site in target.values()} == {b"0/1\t1/1"}
    assert {site.genotypes for site in truth.values()} == {b"1|0\t1/1", b"1|0\t0|0"}


@needs_example
def test_make_masked_when_example_is_real_then_chip_has_448_sites(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    masked = testdata.make_masked(EXAMPLE, tmp_path)
    assert (masked.n_samples, masked.n_target_sites, masked.n_truth_sites) == (203, 448, 24_542)
    facts = inspect(masked.target_vcf)
    assert facts.counts["unphased"] == facts.counts["snp"] == 448
    assert Code.FEW_SAMPLES not in {finding.code for finding in facts.warnings}


def test_without_phase_when_genotypes_are_phased_then_order_of_alleles_is_lost() -> None:
    assert testdata.without_phase(b"1|0\t0|1\t1|1\t.|.") == b"0/1\t0/1\t1/1\t./."


def test_find_example_when_a_file_is_missing_then_gives_none(
    small_example: ExamplePaths,
) -> None:
    folder = small_example.unphased.parent
    assert find_example(folder) == small_example
    small_example.genetic_map.unlink()
    assert find_example(folder) is None


@needs_htslib
def test_write_test_files_when_bcftools_reads_them_then_it_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testdata, "TEST_FILES", (("a.vcf.gz", 400),))
    (file,) = testdata.write_test_files(tmp_path, None)
    counted = subprocess.run(
        ["bcftools", "index", "-n", str(file.path)], check=True, capture_output=True
    )
    assert int(counted.stdout) == 400
    read = subprocess.run(
        ["bcftools", "view", "-H", "-c", "1", str(file.path)], check=True, capture_output=True
    )
    assert read.stdout.count(b"\n") == 400
    assert read.stderr == b""
