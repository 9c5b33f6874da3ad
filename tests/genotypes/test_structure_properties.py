"""Damage of every kind: a file that is not what was written never passes, and nothing but a refusal comes out."""

import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.genotypes.bgzf import EOF_BLOCK, compress_block
from app.genotypes.facts import InspectLimits
from app.genotypes.findings import StructureError
from app.genotypes.sniff import sniff
from tests.genotypes.vcf_files import bgzf, header, inspect_bytes, record

TEXT = header() + "".join(
    record(
        position,
        form="GT:DS" if position % 7 == 0 else "GT",
        genotypes=["0|1:1.0", "./.:."] if position % 7 == 0 else ["0/1", "1|1"],
        alt="C,T" if position % 5 == 0 else "G",
    )
    for position in range(1, 60)
)
WHOLE = bgzf(TEXT, block_bytes=300)
SMALL = InspectLimits(max_line_bytes=100_000)
RELAXED = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def test_inspect_when_cut_at_any_byte_then_never_accepts_it(tmp_path: Path) -> None:
    inspect_bytes(tmp_path, WHOLE)
    for length in range(len(WHOLE)):
        with pytest.raises(StructureError):
            inspect_bytes(tmp_path, WHOLE[:length])


@RELAXED
@given(length=st.integers(0, len(TEXT) - 1))
def test_inspect_when_content_was_cut_before_compression_then_accepts_only_whole_lines(
    tmp_path: Path, length: int
) -> None:
    content = bgzf(TEXT[:length])
    n_records = TEXT[:length].count("\n") - 2
    if n_records > 0 and TEXT[:length].endswith("\n"):
        assert inspect_bytes(tmp_path, content).n_variants == n_records
    else:
        with pytest.raises(StructureError):
            inspect_bytes(tmp_path, content)


@RELAXED
@given(flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1))
def test_inspect_when_bytes_are_flipped_then_content_is_refused_or_unharmed(
    tmp_path: Path, flips: list[tuple[int, int]]
) -> None:
    """What may still pass is a flip in the time stamp of a block or the like: the content is then the same."""
    damaged = bytearray(WHOLE)
    for at, mask in flips:
        damaged[at] ^= mask
    try:
        facts = inspect_bytes(tmp_path, bytes(damaged), limits=SMALL)
    except StructureError:
        return
    assert facts == inspect_bytes(tmp_path, WHOLE)


@RELAXED
@given(
    flips=st.lists(
        st.tuples(st.integers(0, len(TEXT) - 1), st.sampled_from(b"\t\n\r /|.,:;<>[]*#0AxZ\0\xff")),
        min_size=1,
        max_size=5,
    )
)
def test_inspect_when_text_is_garbled_then_gives_facts_or_a_short_refusal(
    tmp_path: Path, flips: list[tuple[int, int]]
) -> None:
    garbled = bytearray(TEXT.encode())
    for at, byte in flips:
        garbled[at] = byte
    try:
        inspect_bytes(tmp_path, bgzf(bytes(garbled)), limits=SMALL)
    except StructureError as error:
        for words in (error.finding.message, error.finding.action):
            assert words.isprintable()
            assert len(words) < 400


@RELAXED
@given(lines=st.lists(st.binary(max_size=60), max_size=8))
def test_inspect_when_records_are_garbage_then_refuses_them(
    tmp_path: Path, lines: list[bytes]
) -> None:
    with pytest.raises(StructureError):
        inspect_bytes(tmp_path, bgzf(header().encode() + b"\n".join(lines)), limits=SMALL)


@RELAXED
@given(content=st.binary(max_size=300), kind=st.sampled_from(["plain", "block", "gzip", "raw"]))
def test_sniff_and_inspect_when_content_is_random_then_refuse_without_crashing(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    packed = {
        "plain": content,
        "block": compress_block(content) + EOF_BLOCK,
        "gzip": zlib.compress(content, wbits=31),
        "raw": b"\x1f\x8b\x08\x04" + content,
    }[kind]
    finding = sniff(packed, "x.vcf.gz")
    assert finding is None or finding.message.isprintable()
    with pytest.raises(StructureError):
        inspect_bytes(tmp_path, packed, limits=SMALL)
