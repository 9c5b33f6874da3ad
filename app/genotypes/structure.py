"""The structure check: one pass over a genotype file, before a server is troubled with it.

The rules are those of the imputation servers' own input validation (imputationserver-utils VcfFileUtil and
InputValidationCommand, tabix), so that a file that passes here is not refused there for its form.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.genotypes.bgzf import EOF_BLOCK, BgzfError, BgzfReader
from app.genotypes.builds import guess_build
from app.genotypes.facts import COUNT_KEYS, MIB, InspectLimits, VcfFacts
from app.genotypes.findings import Code, InspectionError, StructureError, clean, refuse, shell_word
from app.genotypes.header import HeaderReader, VcfHeader
from app.genotypes.remarks import remarks
from app.genotypes.sniff import SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from app.genotypes.records import RecordScanner

DEFAULT_LIMITS = InspectLimits()

_REPEAT = "Make the file again or copy it again, then upload it."


def inspect_file(
    path: Path, *, display_name: str, limits: InspectLimits = DEFAULT_LIMITS
) -> VcfFacts:
    """What the bgzipped VCF at `path` holds, after every byte of it was read and checked.

    Blocks for about a second per 60 MB: call it in a worker process. Memory is constant (about 20 MiB at most,
    whatever the size). `display_name` is the user's name for the file and stands in the messages.

    Raises: StructureError for a file that cannot be taken; InspectionError("timeout") after
    `limits.timeout_s`; OSError.
    """
    with closing(Inspection(path, display_name, limits)) as inspection:
        return inspection.finish()


class Inspection:
    """A check that can go along with a file that grows: `advance` while it does, then `finish`, and `close` in any case.

    The verdict is `finish`'s alone, and that of a check after the fact: what `advance` finds is kept until then, because a
    file that was cut off is refused for that first. `limits.timeout_s` counts the time spent in here. Raises: OSError.
    """

    def __init__(self, path: Path, display_name: str, limits: InspectLimits) -> None:
        self._name = display_name
        self._limits = limits
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._reader = BgzfReader(self._descriptor)
        self._header = HeaderReader(display_name, limits)
        self._records: RecordScanner | None = None
        self._error: StructureError | BgzfError | None = None
        self._deadline = math.inf
        self._left_s = math.inf if limits.timeout_s is None else limits.timeout_s

    def advance(self, stop: int, step_bytes: int) -> bool:
        """Check on to byte `stop`, at most about `step_bytes` of content; whether it got there.

        Raises: InspectionError("timeout"); OSError.
        """
        if self._error is not None:
            return True
        enough = self._reader.uncompressed_bytes + step_bytes
        try:
            with self._timed():
                for batch in self._reader.advance(stop):
                    self._take(batch)
                    if self._reader.uncompressed_bytes >= enough:
                        return False
        except (StructureError, BgzfError) as error:
            self._error = error
        return True

    def finish(self) -> VcfFacts:
        """The file is whole. Raises: as `inspect_file`."""
        descriptor, name = self._descriptor, self._name
        size = os.fstat(descriptor).st_size
        finding = sniff(os.pread(descriptor, SNIFF_BYTES, 0), name)
        if finding:
            raise StructureError(finding)
        if os.pread(descriptor, len(EOF_BLOCK), max(0, size - len(EOF_BLOCK))) != EOF_BLOCK:
            raise _truncated(name, size)
        try:
            if self._error is not None:
                raise self._error
            with self._timed():
                for batch in chain(self._reader.advance(size), self._reader.end(size)):
                    self._take(batch)
        except BgzfError as error:
            raise _damaged(error, name) from error
        if self._records is None:
            raise self._header.finish()
        self._records.finish()
        return _facts(
            name, size, self._reader.uncompressed_bytes, self._header.header, self._records
        )

    def close(self) -> None:
        os.close(self._descriptor)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        self._deadline = began + self._left_s
        try:
            yield
        finally:
            self._left_s -= time.monotonic() - began

    def _take(self, batch: bytes) -> None:
        if time.monotonic() > self._deadline:
            raise InspectionError("timeout")
        _check_sizes(self._reader, self._name, self._limits)
        if self._records is not None:
            self._records.feed(batch)
        elif (behind := self._header.feed(batch)) is not None:
            header = self._header.header
            # Here and not above: numpy is for the worker processes, and nothing that the server's own should load.
            from app.genotypes.records import RecordScanner  # noqa: PLC0415

            self._records = RecordScanner(
                self._name, self._limits, header.n_samples, header.n_lines
            )
            self._records.feed(behind)


def _check_sizes(reader: BgzfReader, name: str, limits: InspectLimits) -> None:
    content, packed = reader.uncompressed_bytes, reader.compressed_bytes
    if content > limits.ratio_free_bytes and content > limits.max_ratio * packed:
        raise refuse(
            Code.TOO_COMPRESSIBLE,
            f"{clean(name)} unpacks to more than {limits.max_ratio} times its size, "
            "which no file of real genotypes does.",
            "Check what the file contains.",
        )
    if content > limits.max_uncompressed_bytes:
        raise refuse(
            Code.TOO_LARGE,
            f"{clean(name)} is larger than {limits.max_uncompressed_bytes // MIB:,} MiB when unpacked.",
            "Keep the genotypes only (bcftools annotate -x INFO,^FORMAT/GT) or split the samples.",
        )


def _truncated(name: str, size: int) -> StructureError:
    return refuse(
        Code.TRUNCATED,
        f"{clean(name)} does not end with the end-of-file mark of bgzip after {size:,} bytes: "
        "it was cut off, or something was appended.",
        f"Compare its size with the original and copy or upload it again. Check it with: bgzip -t {shell_word(name)}",
    )


def _damaged(error: BgzfError, name: str) -> StructureError:
    if error.kind == "truncated":
        message = f"{clean(name)} is cut off in the block at byte {error.offset:,}."
        return refuse(Code.TRUNCATED, message, _REPEAT)
    if error.kind == "not_bgzf":
        message = f"{clean(name)} stops being a bgzip file at byte {error.offset:,}."
        return refuse(Code.CORRUPT, message, _REPEAT)
    message = f"{clean(name)} is damaged: the block at byte {error.offset:,} fails its checksum."
    return refuse(Code.CORRUPT, message, _REPEAT)


def _facts(
    name: str, size: int, uncompressed: int, header: VcfHeader, records: "RecordScanner"
) -> VcfFacts:
    prefixed = records.chromosome.startswith("chr")
    chromosome = records.chromosome.removeprefix("chr")
    contig_length = header.contig_lengths.get(records.chromosome)
    guess = guess_build(chromosome, contig_length, records.last_position, header.builds_named)
    counts = {key: getattr(records, key) for key in COUNT_KEYS if key != "non_snp"}
    counts["non_snp"] = records.n_variants - records.snp
    facts = VcfFacts(
        name=clean(name),
        chromosome=chromosome,
        has_chr_prefix=prefixed,
        n_samples=header.n_samples,
        samples_sha256=header.samples_sha256,
        n_variants=records.n_variants,
        first_position=records.first_position,
        last_position=records.last_position,
        phased=not records.unphased,
        has_missing=records.has_missing,
        contig_length=contig_length,
        build_guess=guess.build,
        build_evidence=guess.evidence,
        size_bytes=size,
        uncompressed_bytes=uncompressed,
        vcf_version=header.version,
        counts=counts,
        warnings=tuple(header.warnings),
    )
    return msgspec.structs.replace(facts, warnings=facts.warnings + remarks(facts, guess))
