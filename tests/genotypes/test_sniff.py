"""What a file is, by its first bytes."""

import gzip
import io
import tarfile
import zipfile

import pytest

from app.genotypes.bgzf import EOF_BLOCK
from app.genotypes.findings import Code
from app.genotypes.sniff import sniff
from tests.genotypes.vcf_files import bgzf, header, plain_gzip, record, vcf


def _named_gzip() -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile("cohort.vcf", "wb", fileobj=target) as file:
        file.write(vcf().encode())
    return target.getvalue()


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("cohort.vcf", vcf())
    return target.getvalue()


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entry = tarfile.TarInfo("cohort.vcf")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"##fi"))
    return target.getvalue()


BIM = b"20\trs1\t0\t1000226\tA\tT\n20\trs2\t0.5\t1000341\tC\tA\n"
FAM = b"F1 NA1 0 0 1 -9\nF2 NA2 0 0 2 -9\n"
PED = b"F1 NA1 0 0 1 -9 A A G T\nF2 NA2 0 0 2 1 A C G G\n"
HTML = b"\n <!DOCTYPE html><html><body>Please sign in</body></html>"

CASES = {
    "empty": (b"", Code.EMPTY_FILE),
    "plain VCF": (vcf().encode(), Code.PLAIN_VCF),
    "plain VCF with byte order mark": (("\ufeff" + vcf()).encode(), Code.PLAIN_VCF),
    "gzip": (plain_gzip(vcf()), Code.NOT_BGZIP),
    "gzip with a file name": (_named_gzip(), Code.NOT_BGZIP),
    "gzip of PLINK": (plain_gzip(BIM), Code.PLINK_BIM),
    "gzip of a web page": (plain_gzip(HTML), Code.HTML_PAGE),
    "gzip of a tar archive": (plain_gzip(_tar()), Code.ZIP_ARCHIVE),
    "gzip of a letter": (plain_gzip("Dear sir"), Code.NOT_A_VCF),
    "BCF": (bgzf(b"BCF\x02\x02" + bytes(100)), Code.BCF),
    "uncompressed BCF": (b"BCF\x02\x02" + bytes(100), Code.BCF),
    "BAM": (bgzf(b"BAM\x01" + bytes(100)), Code.ALIGNMENTS),
    "CRAM": (b"CRAM\x03\x00" + bytes(100), Code.ALIGNMENTS),
    "tabix index": (bgzf(b"TBI\x01" + bytes(100)), Code.INDEX_FILE),
    "csi index": (bgzf(b"CSI\x01" + bytes(100)), Code.INDEX_FILE),
    "bgzip of a letter": (bgzf("Dear sir"), Code.NOT_A_VCF),
    "bgzip twice": (bgzf(bgzf(vcf())), Code.OTHER_COMPRESSION),
    "PLINK .bed": (b"\x6c\x1b\x01" + bytes(50), Code.PLINK_BED),
    "PLINK 2 .pgen": (b"\x6c\x1b\x10" + bytes(50), Code.PLINK_PGEN),
    "PLINK .bim": (BIM, Code.PLINK_BIM),
    "PLINK .bim with chr": (BIM.replace(b"20\t", b"chr20\t"), Code.PLINK_BIM),
    "PLINK .fam": (FAM, Code.PLINK_FAM),
    "PLINK .fam, one line": (b"F1 NA1 0 0 1 1.5", Code.PLINK_FAM),
    "PLINK .ped": (PED, Code.PLINK_PED),
    "PLINK .ped, cut in its first line": (PED[:4] + b"A 0 0 1 2 " + b"A C " * 9, Code.PLINK_PED),
    "web page": (HTML, Code.HTML_PAGE),
    "ZIP": (_zip(), Code.ZIP_ARCHIVE),
    "tar": (_tar(), Code.ZIP_ARCHIVE),
    "xz": (b"\xfd7zXZ\x00" + bytes(50), Code.OTHER_COMPRESSION),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50), Code.OTHER_COMPRESSION),
    "bzip2": (b"BZh91AY&SY" + bytes(50), Code.OTHER_COMPRESSION),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), Code.OTHER_COMPRESSION),
    "PDF": (b"%PDF-1.7\n", Code.NOT_A_VCF),
    "23andMe": (b"# rsid\tchromosome\tposition\tgenotype\nrs1\t1\t1\tAA\n", Code.NOT_A_VCF),
    "JSON": (b'{"error": "not found"}', Code.NOT_A_VCF),
    "zeros": (bytes(1000), Code.NOT_A_VCF),
    "blank lines": (b"\n\n\n", Code.NOT_A_VCF),
}


@pytest.mark.parametrize("case", CASES)
def test_sniff_when_file_is_something_else_then_says_what_and_what_to_do(case: str) -> None:
    content, code = CASES[case]
    finding = sniff(content, "cohort.vcf.gz")
    assert finding is not None
    assert finding.code == code
    assert finding.action
    assert finding.message.startswith("cohort.vcf.gz is ")
    assert finding.message.isprintable()


GOOD = bgzf(header([f"S{number}" for number in range(500)]) + record(1))


@pytest.mark.parametrize("length", [1, 2, 4, 17, 18, 30, 100, len(GOOD)])
def test_sniff_when_a_good_file_has_only_begun_to_arrive_then_lets_it_pass(length: int) -> None:
    assert sniff(GOOD[:length], "cohort.vcf.gz") is None


def test_sniff_when_bgzf_content_cannot_be_judged_yet_then_leaves_it_to_the_full_check() -> None:
    assert sniff(EOF_BLOCK, "x.vcf.gz") is None
    assert sniff(bgzf("\ufeff" + vcf()), "x.vcf.gz") is None
    assert sniff(bgzf("#CHROM\tPOS"), "x.vcf.gz") is None


def test_sniff_when_bgzf_has_more_extra_fields_then_still_knows_it() -> None:
    """The specification allows other fields before BC."""
    extra = b"XY\x03\x00abc" + GOOD[12:18]
    block = GOOD[:10] + len(extra).to_bytes(2, "little") + extra[:-2]
    size = int.from_bytes(GOOD[16:18], "little") + 7
    assert sniff(block + size.to_bytes(2, "little") + GOOD[18:], "x.vcf.gz") is None


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("cohort.vcf", "bgzip cohort.vcf"),
        ("cohort.vcf.gz", "mv cohort.vcf.gz cohort.vcf && bgzip cohort.vcf"),
        ("my cohort.vcf", "bgzip 'my cohort.vcf'"),
    ],
)
def test_sniff_when_vcf_is_plain_then_action_is_the_bgzip_command(name: str, command: str) -> None:
    finding = sniff(vcf().encode(), name)
    assert finding is not None
    assert finding.action == f"Compress it with bgzip: {command}"


def test_sniff_when_plink_then_action_converts_the_whole_file_set() -> None:
    finding = sniff(b"\x6c\x1b\x01", "study.bed")
    assert finding is not None
    assert "plink2 --bfile study --export vcf bgz --out study" in finding.action
