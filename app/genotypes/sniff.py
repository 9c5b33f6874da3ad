"""What a file is, judged by its first bytes alone: an upload of the wrong kind is refused at once."""

import re
import zlib
from collections.abc import Callable

from app.genotypes.bgzf import GZIP_MAGIC, BgzfError, find_block
from app.genotypes.findings import Code, Finding, base_name, clean, shell_word

SNIFF_BYTES = 65536
"""More than this is not looked at; some hundred bytes are enough for most kinds."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_VCF_START = b"##fileformat=VCF"
_PLINK_ADVICE = (
    "Convert the whole PLINK file set: plink2 {flag} {base} --export vcf bgz --out {base}"
)
_EXPORT_ADVICE = (
    "Export the genotypes as VCF, one file per chromosome, and compress each with bgzip."
)
_UNPACK_ADVICE = "Unpack it and upload the bgzip-compressed VCF itself: bgzip file.vcf"

_BINARY_KINDS: tuple[tuple[bytes, Code, str], ...] = (
    (b"\x6c\x1b\x01", Code.PLINK_BED, "a PLINK .bed file"),
    (b"\x6c\x1b", Code.PLINK_PGEN, "a PLINK 2 .pgen file"),
    (b"PK\x03\x04", Code.ZIP_ARCHIVE, "a ZIP archive"),
    (b"PK\x05\x06", Code.ZIP_ARCHIVE, "an empty ZIP archive"),
    (b"BCF\x02", Code.BCF, "a BCF file"),
    (b"BAM\x01", Code.ALIGNMENTS, "a BAM file"),
    (b"CRAM", Code.ALIGNMENTS, "a CRAM file"),
    (b"@HD\t", Code.ALIGNMENTS, "a SAM file"),
    (b"TBI\x01", Code.INDEX_FILE, "an index (.tbi)"),
    (b"CSI\x01", Code.INDEX_FILE, "an index (.csi)"),
    (b"\xfd7zXZ\x00", Code.OTHER_COMPRESSION, "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", Code.OTHER_COMPRESSION, "compressed with zstd"),
    (b"BZh", Code.OTHER_COMPRESSION, "compressed with bzip2"),
    (b"7z\xbc\xaf\x27\x1c", Code.OTHER_COMPRESSION, "a 7z archive"),
    (b"Rar!\x1a\x07", Code.OTHER_COMPRESSION, "a RAR archive"),
    (GZIP_MAGIC, Code.OTHER_COMPRESSION, "compressed a second time"),
    (b"%PDF-", Code.NOT_A_VCF, "a PDF document"),
)

_HTML = re.compile(rb"\s*(?:<!doctype\s+html|<html|<head|<body)", re.IGNORECASE)
_CHROMOSOME = re.compile(rb"(?:chr)?(?:[0-9]{1,2}|X|Y|XY|MT?)\Z", re.IGNORECASE)
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]*)?(?:[eE]-?[0-9]+)?\Z")
_ALLELE = re.compile(rb"(?:[ACGTNacgtn0-9DI*.-]+)\Z")


def sniff(first_bytes: bytes, display_name: str) -> Finding | None:
    """Why the file that begins with `first_bytes` cannot be a bgzipped VCF; None while it may be one.

    Give it what has arrived so far, from a few hundred bytes on; the more, the surer (up to SNIFF_BYTES).
    """
    head = first_bytes[:SNIFF_BYTES]
    if not head:
        return _empty(display_name)
    if not head.startswith(GZIP_MAGIC[: len(head)]):
        return _plain_kind(head, display_name)
    try:
        find_block(memoryview(head), 0)
    except BgzfError:
        return _gzip_kind(head, display_name)
    return _bgzf_kind(_inflate_some(head), display_name)


def _empty(name: str) -> Finding:
    return Finding(
        code=Code.EMPTY_FILE,
        message=f"{clean(name)} is empty (0 bytes).",
        action="Check the file on your side and upload it again.",
    )


def _inflate_some(head: bytes) -> bytes:
    """The first content of a gzip member, as far as `head` reaches; nothing if it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, SNIFF_BYTES)
    except zlib.error:
        return b""


def _plain_kind(head: bytes, name: str) -> Finding:
    """For a file that is not compressed by gzip or bgzip at all."""
    return _kind_of(head, name, f"{clean(name)} is") or _not_a_vcf(head, name)


def _gzip_kind(head: bytes, name: str) -> Finding:
    """For ordinary gzip: the most common mistake, unless something else is inside."""
    content = _inflate_some(head)
    if content and not content.startswith(b"#"):
        inside = _kind_of(content, name, "Inside it is") or _not_a_vcf(content, name)
        return Finding(
            code=inside.code,
            message=f"{clean(name)} is compressed with gzip. {inside.message}",
            action=inside.action,
        )
    word, base = shell_word(name), base_name(name)
    return Finding(
        code=Code.NOT_BGZIP,
        message=f"{clean(name)} is compressed with gzip, not bgzip.",
        action="Decompress it and compress it with bgzip: "
        f"gunzip -c {word} | bgzip > {shell_word(base + '.bgz.vcf.gz')}",
    )


def _bgzf_kind(content: bytes, name: str) -> Finding | None:
    """For BGZF: BCF, BAM and indexes are BGZF files as well. Too little content is left to the full check,
    as is a damaged VCF header, of which that can say more.
    """
    if not content or content.startswith((b"#", _BYTE_ORDER_MARK)):
        return None
    subject = f"{clean(name)} is compressed with bgzip, but it is"
    return _kind_of(content, name, subject) or _not_a_vcf(content, name)


def _kind_of(head: bytes, name: str, subject: str) -> Finding | None:
    """What `head` is when it is something well known; the message begins with `subject`."""
    for magic, code, what in _BINARY_KINDS:
        if head.startswith(magic):
            action = _action(code, name)
            return Finding(code=code, message=f"{subject} {what}.", action=action)
    for code, what, matches in _TEXT_KINDS:
        if matches(head):
            return Finding(code=code, message=f"{subject} {what}.", action=_action(code, name))
    return None


def _action(code: Code, name: str) -> str:
    base, word = shell_word(base_name(name).rsplit(".", 1)[0]), shell_word(name)
    advice = {
        Code.PLAIN_VCF: f"Compress it with bgzip: {_bgzip_command(name)}",
        Code.PLINK_BED: _PLINK_ADVICE.format(flag="--bfile", base=base),
        Code.PLINK_BIM: _PLINK_ADVICE.format(flag="--bfile", base=base),
        Code.PLINK_FAM: _PLINK_ADVICE.format(flag="--bfile", base=base),
        Code.PLINK_PED: _PLINK_ADVICE.format(flag="--pedmap", base=base),
        Code.PLINK_PGEN: _PLINK_ADVICE.format(flag="--pfile", base=base),
        Code.BCF: f"Convert it: bcftools view -Oz -o {shell_word(base_name(name) + '.vcf.gz')} {word}",
        Code.INDEX_FILE: "Upload the .vcf.gz file that belongs to it; the index is not needed.",
        Code.ALIGNMENTS: "Call variants first, or upload genotypes as a bgzipped VCF.",
        Code.HTML_PAGE: "It is probably a log-in or error page saved instead of the data: "
        "open it in a browser, then download the data again.",
        Code.ZIP_ARCHIVE: _UNPACK_ADVICE,
        Code.OTHER_COMPRESSION: _UNPACK_ADVICE,
    }
    return advice.get(code, _EXPORT_ADVICE)


def _bgzip_command(name: str) -> str:
    """The bgzip program adds ".gz" to the name, so a plain text that already carries it is renamed first."""
    if not name.endswith((".gz", ".bgz")):
        return f"bgzip {shell_word(name)}"
    plain = shell_word(base_name(name) + ".vcf")
    return f"mv {shell_word(name)} {plain} && bgzip {plain}"


def _not_a_vcf(head: bytes, name: str) -> Finding:
    first_line = head.lstrip().split(b"\n", 1)[0]
    what = (
        f"It begins with: {clean(first_line)}"
        if first_line and _is_text(head)
        else "It is binary data."
    )
    return Finding(
        code=Code.NOT_A_VCF,
        message=f"{clean(name)} is not a bgzipped VCF file. {what}",
        action=_EXPORT_ADVICE,
    )


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in head[:1024])


def _rows(head: bytes) -> list[list[bytes]]:
    """The first three lines of a table, each as fields; a line that is cut off by the end of `head` only if alone."""
    lines = head[:4096].split(b"\n")
    whole = lines[:-1] or lines
    return [line.split() for line in whole[:3]]


def _is_vcf(head: bytes) -> bool:
    return head.removeprefix(_BYTE_ORDER_MARK).startswith((_VCF_START, b"#CHROM\t"))


def _is_html(head: bytes) -> bool:
    return _HTML.match(head.removeprefix(_BYTE_ORDER_MARK)) is not None


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _is_bim(head: bytes) -> bool:
    """chromosome, id, centimorgans, position, two alleles (PLINK 1.9 file formats, .bim)."""
    return _all_rows(
        head,
        lambda row: (
            len(row) == 6
            and _CHROMOSOME.match(row[0]) is not None
            and _NUMBER.match(row[2]) is not None
            and row[3].lstrip(b"-").isdigit()
            and all(_ALLELE.match(allele) for allele in row[4:])
        ),
    )


def _is_fam(head: bytes) -> bool:
    """family, id, father, mother, sex, phenotype (PLINK 1.9 file formats, .fam)."""
    return _all_rows(head, lambda row: len(row) == 6 and _is_person(row))


def _is_ped(head: bytes) -> bool:
    """The six columns of .fam and then two alleles for each variant (PLINK 1.9 file formats, .ped)."""
    lines = head.split(b"\n", 1)
    row = lines[0].split()
    alleles = row[6:] if len(lines) > 1 else row[6:-1]
    return (
        len(row) >= 8
        and _is_person(row)
        and (len(lines) == 1 or len(row) % 2 == 0)
        and all(_ALLELE.match(allele) for allele in alleles[:200])
    )


def _is_person(row: list[bytes]) -> bool:
    return row[4] in (b"0", b"1", b"2", b"-9") and (
        _NUMBER.match(row[5]) is not None or row[5].upper() in (b"NA", b"NAN")
    )


def _all_rows(head: bytes, fits: Callable[[list[bytes]], bool]) -> bool:
    rows = _rows(head)
    return bool(rows[0]) and all(fits(row) for row in rows)


_TEXT_KINDS: tuple[tuple[Code, str, Callable[[bytes], bool]], ...] = (
    (Code.PLAIN_VCF, "an uncompressed VCF file", _is_vcf),
    (Code.HTML_PAGE, "a web page (HTML)", _is_html),
    (Code.ZIP_ARCHIVE, "a tar archive", _is_tar),
    (Code.PLINK_BIM, "a PLINK .bim file", _is_bim),
    (Code.PLINK_FAM, "a PLINK .fam file", _is_fam),
    (Code.PLINK_PED, "a PLINK .ped file", _is_ped),
)
