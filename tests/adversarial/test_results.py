"""Result files as a service that was taken over might send them: the analysis says what it could not read, in bounded memory and time."""

import asyncio
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from app.genotypes.findings import InspectionError
from app.genotypes.inspector import Inspector
from app.genotypes.quality import Analysis, ResultFile
from app.usecases.deps import Deps

MIB = 1024 * 1024
HEAD = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TABLE = b"SNP\tREF(0)\tALT(1)\tALT_Frq\tMAF\tAvgCall\tRsq\tGenotyped\tLooRsq\tEmpR\tEmpRsq\n"
GOOD = b"20\t100\t.\tA\tG\t.\tPASS\tIMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.5\n"


def site(
    chrom: bytes = b"20",
    at: bytes = b"7",
    ref: bytes = b"A",
    alt: bytes = b"G",
    info: bytes = b"IMPUTED;R2=0.5",
) -> bytes:
    return b"\t".join((chrom, at, b".", ref, alt, b".", b"PASS", info)) + b"\n"


NUMBERS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-1",
    b"1e308",
    b"",
    b".",
    b"0x1",
    b"9" * 5000,
    b"1,nan",
    b"\xff",
    b"1_0",
    b"+e",
)
ODD_VALUES = HEAD + GOOD + b"".join(
    site(info=b"IMPUTED;AF=%b;MAF=%b;AVG_CS=1;R2=%b" % (n, n, n))
    + site(info=b"TYPED;IMPUTED;AF=%b;MAF=%b;R2=%b;ER2=%b" % (n, n, n, n))
    + site(info=b"TYPED;IMPUTED;R2=0.9;ER2=%b" % n)
    for n in NUMBERS
)  # fmt: skip
ODD_PLACES = HEAD + GOOD + b"".join(
    site(at=at) for at in (b"-1", b"0", b"9" * 19, b"9" * 30, b"9" * 5000, b"1_0", b" 7 ", b"", b"nan", "\u0661".encode())
)  # fmt: skip
ODD_NAMES = HEAD + GOOD + b"".join(
    site(chrom=name, ref=name, alt=name, info=b"TYPED;IMPUTED;R2=0.9;ER2=0.1")
    for name in (b"\0", b"\x1b[31m", "²".encode(), "\u202e20".encode(), b"\xff\xfe", b"<script>alert(1)</script>", b"=cmd()", b"", b"x" * MIB)
)  # fmt: skip
MANY_NAMES = (
    HEAD
    + GOOD
    + b"".join(
        site(chrom=b"contig%d" % n, at=b"%d" % (n * 1_000_003 % 2**31)) for n in range(20_000)
    )
)
MANY_FIELDS = (
    HEAD
    + GOOD
    + site(info=b";" * (15 * MIB))
    + site(info=b";".join(b"%d" % n for n in range(2_000_000)))
)
LONG_LINE = HEAD + GOOD + b"20\t7\t.\tA\t" + b"G" * (40 * MIB)
ODD_TABLE = TABLE + b"".join(
    b"\t".join((name, b"A", b"G", n, n, n, n, kind, n, n, n)) + b"\n"
    for name in (b"20:7:A:G", b"\0:\0:\0:\0", b"20:" + b"9" * 30, b":" * MIB, "²:1".encode())
    for n in NUMBERS
    for kind in (b"Imputed", b"Genotyped", b"Typed_Only", b"\0")
)  # fmt: skip
EXCLUDED = b"ID\tCHROM\tPOS\tREF\tALT\tINFO\n" + b"".join(
    b"\t".join((b"x", name, b"1", b"A", b"G", b"\0=HYPERLINK()\x1b")) + b"\n"
    for name in (b"\0", "²".encode(), b"\xff", b"20", b"\t" * MIB)
)  # fmt: skip
CHUNKS = (
    b"#CHUNK\tSITES\tOVERLAP\tCALL\n"
    b"chunk\0\x1b\t1\t\xff\t" + b"\t" * (8 * MIB) + b"\n" + b"c\t1\t1\t1\n" * 10
)
SITES, SHORT = "chr20.info.gz", "chr20.info"
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "odd values": (SHORT, lambda: ODD_VALUES),
    "odd places": (SHORT, lambda: ODD_PLACES),
    "odd names": (SHORT, lambda: ODD_NAMES),
    "many contigs": (SITES, lambda: gzip.compress(MANY_NAMES)),
    "many fields": (SITES, lambda: gzip.compress(MANY_FIELDS, 1)),
    "a long line": (SITES, lambda: gzip.compress(LONG_LINE, 1)),
    "odd table": (SHORT, lambda: ODD_TABLE),
    "table without its columns": (SHORT, lambda: b"SNP\tRsq\n20:1\t0.5\n"),
    "excluded": ("snps-excluded.txt", lambda: EXCLUDED),
    "chunks": ("chunks-excluded.txt", lambda: CHUNKS),
    "typed only": ("snps-typed-only.txt", lambda: b"\0\t\0\t\0\n" + "²\t²\t²\n".encode() * 100),
    "binary": (SITES, lambda: os.urandom(MIB)),
    "binary after a head": (SHORT, lambda: HEAD + GOOD + os.urandom(MIB)),
    "gzip of rubbish": (SITES, lambda: gzip.compress(HEAD + GOOD) + os.urandom(1000)),
    "many members": (SITES, lambda: gzip.compress(HEAD + GOOD) + gzip.compress(b"") * 20_000),
    "empty": (SITES, lambda: b""),
    "dose": ("chr20.dose.vcf.gz", lambda: gzip.compress(HEAD + GOOD + site(info=b"\0"))),
}  # fmt: skip


@pytest.fixture(scope="module")
def storable() -> Callable[[Analysis], None]:
    """Check that PostgreSQL and JSON take an analysis, and that it comes back as it was."""

    def check(result: Analysis) -> None:
        text = msgspec.json.encode(result)
        assert b"\\u0000" not in text
        assert len(text) < 4 * MIB
        assert msgspec.json.decode(text, type=Analysis) == result
        for value in (result.mean_r2, result.mean_er2, result.mean_frequency):
            assert value is None or 0 <= value < 2
        assert all(name.name.isprintable() for name in result.chromosomes)

    return check


async def test_analysis_when_files_are_hostile_then_it_says_what_it_could_and_the_worker_lives(
    tmp_path: Path, deps: Deps, storable: Callable[[Analysis], None]
) -> None:
    inspector = Inspector(max_workers=1)
    try:
        for place, (about, (name, make)) in enumerate(FILES.items()):
            path = tmp_path / str(place)
            path.write_bytes(make())
            began = monotonic()
            result = await inspector.analyse([ResultFile(path, name, place, None)], 60)
            assert monotonic() - began < 20, about
            storable(result)
            kept = await deps.pool.fetchval("select $1::jsonb", msgspec.to_builtins(result))
            assert msgspec.convert(kept, Analysis) == result, about
            if name in (SITES, SHORT) and about not in ("binary", "empty") and "table" not in about:
                assert result.imputed >= 1, f"{about}: what was well is counted"
    finally:
        await inspector.close()


async def test_analysis_when_a_file_is_a_bomb_then_it_ends_in_its_time_and_memory(
    tmp_path: Path,
) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(HEAD + GOOD)
    line = site(info=b"IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.5") * 10_000
    for _ in range(1500):
        bomb += packer.compress(line)
    bomb += packer.flush()
    assert len(bomb) < 10 * MIB
    (tmp_path / "bomb").write_bytes(bomb)
    inspector = Inspector(max_workers=1)
    try:
        result = await inspector.analyse([ResultFile(tmp_path / "bomb", SITES, 1, None)], 2)
        assert result.is_partial
        assert "longer than is allowed" in result.problems[0]
        assert result.imputed > 1000
        (tmp_path / "good").write_bytes(HEAD + GOOD)
        after = await inspector.analyse([ResultFile(tmp_path / "good", SHORT, 1, None)], 10)
        assert after.imputed == 1
    finally:
        await inspector.close()


async def test_inspector_when_closed_then_an_analysis_says_so(tmp_path: Path) -> None:
    inspector = Inspector(max_workers=1)
    await inspector.close()
    with pytest.raises(InspectionError):
        await asyncio.wait_for(inspector.analyse([], 1), 20)
