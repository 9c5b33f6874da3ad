"""The header of a VCF: version, contigs, samples. Read as a stream; only what is needed is kept."""

import hashlib
import re
from collections import Counter

import msgspec

from app.genotypes.builds import CHROMOSOMES, builds_named_in
from app.genotypes.facts import MIB, InspectLimits
from app.genotypes.findings import Code, Finding, StructureError, clean, refuse, shell_word, warn

FIXED_COLUMNS = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO", b"FORMAT")

_VERSION = re.compile(rb"##fileformat=VCFv([0-9]{1,3})\.([0-9]{1,3})\s*\Z")
_CONTIG_ID = re.compile(rb"[<,]ID=([^,>]{1,40})")
_CONTIG_LENGTH = re.compile(rb"[<,]length=\"?([0-9]{1,12})")
_PLAIN_ID = re.compile(rb"[!-~]{1,80}\Z")
_REFERENCE_LINES = (b"##reference=", b"##assembly=", b"##contig=<")
_REEXPORT = "Export the file again with a tool that writes VCF 4.x, for example bcftools or plink2."


class VcfHeader(msgspec.Struct, kw_only=True):
    """What the header says. `contig_lengths` is for the chromosomes that the servers know, as written."""

    version: str = ""
    n_samples: int = 0
    samples_sha256: str = ""
    contig_lengths: dict[str, int] = msgspec.field(default_factory=dict)
    builds_named: set[str] = msgspec.field(default_factory=set)
    n_lines: int = 0
    warnings: list[Finding] = msgspec.field(default_factory=list)


class HeaderReader:
    """Feed it the content of the file until it gives back what follows the #CHROM line."""

    def __init__(self, name: str, limits: InspectLimits) -> None:
        self.header = VcfHeader()
        self._name = name
        self._limits = limits
        self._bytes = 0
        self._rest: list[bytes] = []
        self._rest_bytes = 0

    def feed(self, content: bytes) -> bytes | None:
        """What of `content` stands behind the header, or None while the header goes on.

        Raises: StructureError.
        """
        start = 0
        while (end := content.find(b"\n", start)) >= 0:
            line = b"".join((*self._rest, content[start:end]))
            self._rest, self._rest_bytes = [], 0
            start = end + 1
            if self._read_line(line):
                return content[start:]
        self._rest.append(content[start:])
        self._rest_bytes += len(content) - start
        if not self.header.n_lines:
            self._check_start(b"".join(self._rest))
        self._check_size(self.header.n_lines + 1, self._rest_bytes)
        return None

    def finish(self) -> StructureError:
        """The refusal to raise when the content ends before the header does."""
        if not self.header.n_lines and not self._rest_bytes:
            return refuse(
                Code.EMPTY_FILE,
                f"{clean(self._name)} is a bgzip file with nothing in it.",
                "Check that the program that wrote it did not fail, then upload it again.",
            )
        if self._rest_bytes and b"".join(self._rest).startswith(b"#CHROM"):
            return refuse(
                Code.NO_RECORDS,
                f"{clean(self._name)} ends in its #CHROM line; it holds no variants.",
                "Check that the whole file was written, then upload it again.",
            )
        return self._no_column_line("it ends before")

    def _read_line(self, line: bytes) -> bool:
        """Takes one line; True when it was the #CHROM line."""
        header = self.header
        header.n_lines += 1
        self._check_size(header.n_lines, len(line))
        self._bytes += len(line) + 1
        if header.n_lines == 1:
            self._read_version(line)
        elif line.startswith(b"#CHROM"):
            self._read_columns(line)
            return True
        elif not line.startswith(b"##"):
            raise self._no_column_line(f"line {header.n_lines} is already something else")
        elif line.startswith(_REFERENCE_LINES):
            self._read_reference(line[:4096])
        return False

    def _check_size(self, line_number: int, line_bytes: int) -> None:
        limits = self._limits
        if line_bytes > limits.max_line_bytes:
            what, limit = f"line {line_number} of the header", limits.max_line_bytes
        elif self._bytes + line_bytes > limits.max_header_bytes:
            what, limit = "the header", limits.max_header_bytes
        else:
            return
        raise refuse(
            Code.HEADER_TOO_LARGE,
            f"{clean(self._name)}: {what} is larger than {limit / MIB:.3g} MiB.",
            "Drop the header lines that are not needed (bcftools annotate -x), then upload it again.",
        )

    def _check_start(self, start: bytes) -> None:
        """A first line that never ends is refused before it is waited for."""
        mark = b"##fileformat="
        if not start.startswith(mark[: len(start)]):
            raise self._no_header(start)

    def _no_header(self, line: bytes) -> StructureError:
        return refuse(
            Code.NO_VCF_HEADER,
            f"{clean(self._name)} does not begin with ##fileformat=VCFv4.x but with: {clean(line)}",
            _REEXPORT,
        )

    def _read_version(self, line: bytes) -> None:
        version = _VERSION.match(line)
        if version is None:
            raise self._no_header(line)
        major, minor = int(version[1]), int(version[2])
        self.header.version = f"{major}.{minor}"
        if major != 4:
            raise refuse(
                Code.OLD_VCF_VERSION,
                f"{clean(self._name)} is VCF version {major}.{minor}; version 4.0 to 4.x is needed.",
                f"{_REEXPORT} (bcftools view reads most older files.)",
            )

    def _no_column_line(self, what: str) -> StructureError:
        return refuse(
            Code.NO_COLUMN_LINE,
            f"{clean(self._name)} has no #CHROM line: {what}.",
            "The header must end with the line that names the columns and samples. " + _REEXPORT,
        )

    def _read_reference(self, line: bytes) -> None:
        self.header.builds_named |= builds_named_in(line)
        contig, length = _CONTIG_ID.search(line), _CONTIG_LENGTH.search(line)
        if line.startswith(b"##contig") and contig and length:
            name = contig[1].decode("ascii", errors="replace")
            if name.removeprefix("chr") in CHROMOSOMES:
                self.header.contig_lengths[name] = int(length[1])

    def _read_columns(self, line: bytes) -> None:
        if line.endswith(b"\r"):
            base = shell_word(self._name)
            raise refuse(
                Code.WINDOWS_LINE_ENDS,
                f"{clean(self._name)} has Windows line ends (CR LF).",
                f"Convert them: gunzip -c {base} | tr -d '\\r' | bgzip > fixed.vcf.gz",
            )
        columns = line.split(b"\t", 9)
        if tuple(columns[:8]) != FIXED_COLUMNS[:8]:
            spaces = " The columns are separated by spaces, not tabs." if b" " in line[:40] else ""
            raise refuse(
                Code.BAD_COLUMN_LINE,
                f"{clean(self._name)}: the #CHROM line lacks the eight columns of VCF.{spaces}",
                _REEXPORT,
            )
        if len(columns) < 10 or columns[8] != FIXED_COLUMNS[8]:
            raise refuse(
                Code.NO_SAMPLES,
                f"{clean(self._name)} has no samples: it lists variants without genotypes.",
                "Upload the file with the genotypes of your samples, not a list of sites.",
            )
        self._read_samples(columns[9])

    def _read_samples(self, joined: bytes) -> None:
        count = joined.count(b"\t") + 1
        if count > self._limits.max_samples:
            raise refuse(
                Code.TOO_MANY_SAMPLES,
                f"{clean(self._name)} has {count:,} samples; at most {self._limits.max_samples:,} "
                "are taken.",
                "Split the samples into several files and submit a job for each.",
            )
        ids = joined.split(b"\t")
        self._check_ids(ids)
        self.header.n_samples = count
        self.header.samples_sha256 = hashlib.sha256(joined).hexdigest()
        odd = [each for each in ids if not _PLAIN_ID.match(each)]
        if odd:
            self.header.warnings.append(
                warn(
                    Code.ODD_SAMPLE_IDS,
                    f"{clean(self._name)}: {len(odd):,} sample ids have blanks, special characters or "
                    f"more than 80 characters, for example {clean(odd[0])}.",
                    "Plain letters, digits, '-' and '_' come back unharmed from every server.",
                )
            )

    def _check_ids(self, ids: list[bytes]) -> None:
        if len(set(ids)) != len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise refuse(
                Code.DUPLICATE_SAMPLE,
                f"{clean(self._name)} has two samples with the id {clean(twice)}.",
                "Give every sample its own id: bcftools reheader -s new_ids.txt",
            )
        if b"" in ids:
            raise refuse(
                Code.EMPTY_SAMPLE_ID,
                f"{clean(self._name)}: sample {ids.index(b'') + 1} has an empty id (two tabs in a row?).",
                "Give every sample an id: bcftools reheader -s new_ids.txt",
            )
