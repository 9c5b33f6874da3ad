"""The accuracy figures, against numpy's own correlation and against a real imputation."""

import itertools
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from app.genotypes.accuracy import MAF_EDGES, MafBin, r2_by_maf
from app.genotypes.example import find_example
from app.genotypes.testdata import make_masked
from tests.genotypes.tools import needs_imputation
from tests.genotypes.vcf_files import bgzf, header, record

SAMPLES = [f"S{number}" for number in range(10)]


def write(path: Path, rows: list[str], samples: list[str] = SAMPLES) -> Path:
    path.write_bytes(bgzf(header(samples) + "".join(rows)))
    return path


def true_row(position: int, copies: Sequence[int | None], **changes: str) -> str:
    texts = {0: "0|0", 1: "0|1", 2: "1|1", None: ".|."}
    return record(position, genotypes=[texts[each] for each in copies], **changes)


def dose_row(
    position: int, doses: list[float], info: str = "IMPUTED;R2=0.5", **changes: str
) -> str:
    genotypes = [f"0|0:0.1,0.2:{dose:.4f}" for dose in doses]
    return record(position, info=info, form="GT:HDS:DS", genotypes=genotypes, **changes)


def filled(bins: list[MafBin]) -> list[MafBin]:
    return [each for each in bins if each.n_sites]


TRUE = [0, 1, 2, 0, 1, 2, 0, 0, 0, 1]
DOSE = [0.1, 0.9, 1.7, 0.2, 1.2, 1.9, 0.3, 0.0, 0.4, 0.6]
R2 = float(np.corrcoef(TRUE, np.round(DOSE, 4))[0, 1] ** 2)


def test_r2_when_one_site_is_imputed_then_it_is_the_squared_correlation(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    dose = write(tmp_path / "d", [dose_row(5, DOSE)])
    bins = r2_by_maf(truth, dose)
    assert [(each.low, each.high) for each in bins] == [*itertools.pairwise(MAF_EDGES)]
    (only,) = filled(bins)
    assert (only.low, only.high, only.n_sites) == (0.05, 0.5, 1)
    assert only.mean_r2 == pytest.approx(R2)
    assert only.mean_estimated_r2 == 0.5
    empty = bins[0]
    assert (empty.n_sites, empty.mean_r2, empty.mean_estimated_r2) == (0, None, None)


def test_r2_when_samples_are_in_another_order_or_more_then_they_are_matched_by_id(
    tmp_path: Path,
) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    turned = write(tmp_path / "d", [dose_row(5, [1.0, *DOSE[::-1]])], ["new", *SAMPLES[::-1]])
    (only,) = filled(r2_by_maf(truth, turned))
    assert only.mean_r2 == pytest.approx(R2)


def test_r2_when_sites_are_typed_monomorphic_or_unmatched_then_they_do_not_count(
    tmp_path: Path,
) -> None:
    truth = write(
        tmp_path / "t",
        [
            true_row(1, TRUE),  # typed by flag
            true_row(2, TRUE),  # typed by target
            true_row(3, [0] * 10),
            true_row(4, [2] * 10),
            true_row(5, TRUE),  # the one that counts
            true_row(6, TRUE, alt="C"),  # other alleles
            true_row(7, TRUE),  # not imputed
            true_row(8, TRUE, alt="G,C"),  # several ALT
        ],
    )
    dose = write(
        tmp_path / "d",
        [
            dose_row(1, DOSE, info="IMPUTED;TYPED;R2=1"),
            *(dose_row(position, DOSE) for position in (2, 3, 4, 5, 6)),
            dose_row(8, DOSE, alt="G,C"),
            dose_row(9, DOSE),
        ],
    )
    target = write(tmp_path / "g", [true_row(2, TRUE)])
    (only,) = filled(r2_by_maf(truth, dose, target))
    assert only.n_sites == 1


def test_r2_when_several_records_share_a_position_then_alleles_decide(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE), true_row(5, TRUE[::-1], alt="T")])
    dose = write(tmp_path / "d", [dose_row(5, DOSE[::-1], alt="T"), dose_row(5, DOSE)])
    (only,) = filled(r2_by_maf(truth, dose))
    assert only.n_sites == 2
    assert only.mean_r2 == pytest.approx(R2)


def test_r2_when_genotypes_or_doses_are_missing_then_those_samples_are_left_out(
    tmp_path: Path,
) -> None:
    truth = write(tmp_path / "t", [true_row(5, [None, *TRUE[1:]])])
    row = dose_row(5, DOSE).replace("0|0:0.1,0.2:0.6000", "0|0:.:.")
    dose = write(tmp_path / "d", [row])
    (only,) = filled(r2_by_maf(truth, dose))
    assert only.mean_r2 == pytest.approx(np.corrcoef(TRUE[1:9], DOSE[1:9])[0, 1] ** 2)


def test_r2_when_trailing_fields_are_left_out_then_they_are_missing(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    dose = write(tmp_path / "d", [dose_row(5, DOSE).replace("0|0:0.1,0.2:0.6000", "0|0")])
    (only,) = filled(r2_by_maf(truth, dose))
    assert only.mean_r2 == pytest.approx(np.corrcoef(TRUE[:9], DOSE[:9])[0, 1] ** 2)


def test_r2_when_imputation_does_not_vary_then_site_counts_as_zero(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    dose = write(tmp_path / "d", [dose_row(5, [0.0] * 10, info=".")])
    (only,) = filled(r2_by_maf(truth, dose))
    assert (only.n_sites, only.mean_r2, only.mean_estimated_r2) == (1, 0.0, None)


def test_r2_when_chr_prefix_differs_then_chromosomes_are_the_same(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    dose = write(tmp_path / "d", [dose_row(5, DOSE, chromosome="chr20")])
    assert len(filled(r2_by_maf(truth, dose))) == 1


def test_r2_when_site_is_exactly_on_an_edge_then_it_is_in_the_lower_bin(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", [true_row(5, [1, *[0] * 9])])  # MAF 0.05
    dose = write(tmp_path / "d", [dose_row(5, [0.9, *[0.1] * 9])])
    (only,) = filled(r2_by_maf(truth, dose))
    assert (only.low, only.high) == (0.01, 0.05)


@pytest.mark.parametrize(
    ("row", "samples", "message"),
    [
        (dose_row(5, DOSE, chromosome="21"), SAMPLES, "different chromosomes"),
        (dose_row(5, DOSE), [f"X{number}" for number in range(10)], "samples in common"),
        (true_row(5, TRUE), SAMPLES, "DS"),
    ],
)
def test_r2_when_files_do_not_belong_together_then_raises(
    tmp_path: Path, row: str, samples: list[str], message: str
) -> None:
    truth = write(tmp_path / "t", [true_row(5, TRUE)])
    dose = write(tmp_path / "d", [row], samples)
    with pytest.raises(ValueError, match=message):
        r2_by_maf(truth, dose)


@needs_imputation
def test_r2_when_real_genotypes_are_imputed_then_common_sites_are_good(tmp_path: Path) -> None:
    """The recipe with a part of the sites, without phasing (the truth's own phase): 203 people, panel of 300."""
    example = find_example()
    if example is None:
        pytest.skip("shapeit4-example is not installed")
    masked = make_masked(example, tmp_path)
    region = "20:1000000-1400000"
    phased, panel, dose = tmp_path / "p.vcf.gz", tmp_path / "panel.msav", tmp_path / "dose.vcf.gz"

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True)

    chip = tmp_path / "chip.vcf.gz"
    run("bcftools", "view", "-Oz", "-t", region, "-o", chip, masked.target_vcf)
    run("bcftools", "view", "-Oz", "-T", chip, "-o", phased, example.unphased)
    run("bcftools", "view", "-Oz", "-t", region, "-o", tmp_path / "ref.vcf.gz", example.reference)
    for path in (phased, tmp_path / "ref.vcf.gz"):
        run("tabix", path)
    with panel.open("wb") as file:
        compress = ["minimac4", "--compress-reference", str(tmp_path / "ref.vcf.gz")]
        subprocess.run(compress, check=True, stdout=file, stderr=subprocess.DEVNULL)
    run("minimac4", panel, phased, "-o", dose, "-O", "vcf.gz", "--format", "GT,HDS,GP,DS")

    bins = r2_by_maf(masked.truth_vcf, dose, masked.target_vcf)
    common, rare = bins[-1], bins[1]
    assert common.n_sites > 500
    assert common.mean_r2 is not None
    assert rare.mean_r2 is not None
    assert common.mean_estimated_r2 is not None
    assert 0.65 < common.mean_r2 < common.mean_estimated_r2 < 1
    assert rare.mean_r2 < common.mean_r2
