"""What a remote's failure text becomes: the servers' own sentences, as their sources have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.failures import explain

# imputationserver-utils: InputValidationCommand, VcfFileUtil, VCFLineParser, QualityControlCommand, StatisticsTask;
# imputationserver2: main.nf, input_validation_vcf.nf; cloudgene3: WorkflowEngine.submit.
SAID = [
    ("More than 100 obvious strand flips have been detected. Please check strand.", "strand_flips"),
    (
        "More than 100 allele switches have been detected. Imputation cannot be started!",
        "allele_switches",
    ),
    ("No chunks passed the QC step. Imputation cannot be started!", "no_chunks_left"),
    (
        "Your upload data contains chromosome '20'. This is not a valid hg38 encoding.",
        "wrong_build",
    ),
    ("Please ensure that your input data is build hg19 (no chr prefix).", "wrong_build"),
    ("Population 'eur' is not supported by reference panel 'h3africa'.", "unknown_population"),
    ("The provided VCF file contains more than one chromosome.", "several_chromosomes"),
    ("Your input data is unphased. Please select an algorithm for phasing.", "unphased_input"),
    ("The provided VCF file is malformed.", "malformed_input"),
    ("No GT field found in FORMAT column.", "malformed_input"),
    ("No genotypes found in file chr20.vcf.gz.", "malformed_input"),
    ("No vcf.gz input files detected.", "malformed_input"),
    ("Two individuals or more have the following ID: S1", "doubled_samples"),
    ("All files must have the same amount of samples (51 vs 50)", "unequal_samples"),
    ("At least 20 samples must be uploaded.", "sample_count"),
    ("The maximum number of samples is 50000.", "sample_count"),
    (
        "Reference panel does not offer it: it doesn't support chromosome 21",
        "unsupported_chromosome",
    ),
    (
        "ChrX nonPAR region includes > 10 % mixed genotypes; see chrX-info.txt",
        "chromosome_x_ploidy",
    ),
    ("Application apps@x is not installed or wrong permissions.", "panel_unavailable"),
    ("it gave no reason", "remote_failure"),
]


@pytest.mark.parametrize(("reason", "code"), SAID, ids=[reason[:40] for reason, _ in SAID])
def test_explain_for_each_sentence_names_it_and_gives_a_way_out(reason: str, code: str) -> None:
    told = explain(reason)
    assert told.code == code
    assert told.action
    assert explain(f"Input Validation:\n{reason.upper()}\n").code == code


@given(st.text())
def test_explain_for_any_text_gives_something(reason: str) -> None:
    assert explain(reason).action.endswith((".", "again."))
