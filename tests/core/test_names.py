"""File names from anywhere become plain data."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.names import (
    MAX_NAME_CHARS,
    UniqueNames,
    clean_file_name,
    content_type_of,
    job_name_of,
    one_line,
    travel_name,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("chr20.vcf.gz", "chr20.vcf.gz"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\chr1.vcf.gz", "chr1.vcf.gz"),
        ("a\x00b\r\nc.vcf.gz", "ab c.vcf.gz"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("  .hidden.vcf.gz ", "hidden.vcf.gz"),
        ("🧬 genotypes.vcf.gz", "🧬 genotypes.vcf.gz"),
        ("safe\u202egz.fcv.exe", "safegz.fcv.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("e\u0301tude.vcf.gz", "\u00e9tude.vcf.gz"),
    ],
)
def test_clean_file_name_when_hostile_then_is_one_plain_segment(raw: str, shown: str) -> None:
    assert clean_file_name(raw) == shown


def test_clean_file_name_when_10_kb_long_then_is_cut_before_its_endings() -> None:
    name = clean_file_name("x" * 10_000 + ".vcf.gz")
    assert len(name) == MAX_NAME_CHARS
    assert name.endswith("x.vcf.gz")


@given(st.text(max_size=400))
def test_clean_file_name_when_anything_comes_then_is_fit_to_be_shown(raw: str) -> None:
    name = clean_file_name(raw)
    assert 0 < len(name) <= MAX_NAME_CHARS
    assert name.isprintable()
    assert not set(name) & {"/", "\\", "\0"}
    assert name not in {".", ".."}
    name.encode()


@given(st.lists(st.text(max_size=200), max_size=6))
def test_travel_name_when_anything_comes_then_is_plain_and_unique(raw: list[str]) -> None:
    names = UniqueNames()
    travelled = [travel_name(clean_file_name(item), names) for item in raw]
    assert len({item.lower() for item in travelled}) == len(raw)
    for item in travelled:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.vcf\.gz", item)
        assert len(item) < 120


@pytest.mark.parametrize(
    ("display", "travels"),
    [
        ("chr20.vcf.gz", "chr20.vcf.gz"),
        ("chr20.vcf.bgz", "chr20.vcf.gz"),
        ("chr20.gz", "chr20.vcf.gz"),
        ("chr20", "chr20.vcf.gz"),
        ("$(rm -rf ~) é.vcf.gz", "rm_-rf_e.vcf.gz"),
        ("🧬.vcf.gz", "input.vcf.gz"),
        ("-rf.vcf.gz", "rf.vcf.gz"),
    ],
)
def test_travel_name_when_made_then_keeps_what_is_plain(display: str, travels: str) -> None:
    assert travel_name(display, UniqueNames()) == travels


def test_unique_names_when_taken_up_to_case_then_number_before_the_endings() -> None:
    names = UniqueNames()
    given_names = [
        "a.vcf.gz",
        "A.vcf.gz",
        "a.vcf.gz",
        "s/x.txt",
        "s/x.txt",
        "README",
        "README",
        ".gz",
        ".gz",
    ]
    assert [names.take(name) for name in given_names] == [
        "a.vcf.gz",
        "A-2.vcf.gz",
        "a-3.vcf.gz",
        "s/x.txt",
        "s/x-2.txt",
        "README",
        "README-2",
        ".gz",
        ".gz-2",
    ]


def test_one_line_when_header_injection_is_tried_then_gives_one_line() -> None:
    assert one_line("name\r\nBcc: me@example.org") == "name Bcc: me@example.org"


def test_job_name_of_when_a_vcf_is_given_then_drops_the_endings() -> None:
    assert job_name_of("cohort.chr20.vcf.gz") == "cohort.chr20"
    assert job_name_of(".vcf.gz") == ".vcf.gz"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("quality-control.HTML", "text/html; charset=utf-8"),
        ("chr20.dose.vcf.gz", "application/gzip"),
        ("qc_report.txt", "text/plain; charset=utf-8"),
        ("x.svg", "application/octet-stream"),
        ("noending", "application/octet-stream"),
    ],
)
def test_content_type_of_when_asked_then_is_never_active_beyond_html(name: str, kind: str) -> None:
    assert content_type_of(name) == kind
