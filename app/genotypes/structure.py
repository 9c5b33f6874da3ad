"""The structure check: one pass over a genotype file, before a server is troubled with it.

The rules are those of the imputation servers' own input validation (imputationserver-utils VcfFileUtil and
InputValidationCommand, tabix), so that a file that passes here is not refused there for its form.
"""

import os
import time
from pathlib import Path

import msgspec

from app.genotypes.bgzf import EOF_BLOCK, BgzfError, BgzfReader
from app.genotypes.builds import guess_build
from app.genotypes.facts import COUNT_KEYS, MIB, InspectLimits, VcfFacts
from app.genotypes.findings import Code, InspectionError, StructureError, clean, refuse, shell_word
from app.genotypes.header import HeaderReader, VcfHeader
from app.genotypes.records import RecordScanner
from app.genotypes.remarks import remarks
from app.genotypes.sniff import SNIFF_BYTES, sniff

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
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        finding = sniff(os.pread(descriptor, SNIFF_BYTES, 0), display_name)
        if finding:
            raise StructureError(finding)
        if os.pread(descriptor, len(EOF_BLOCK), max(0, size - len(EOF_BLOCK))) != EOF_BLOCK:
            raise _truncated(display_name, size)
        reader = BgzfReader(descriptor)
        header, records = _read(reader, display_name, limits)
    except BgzfError as error:
        raise _damaged(error, display_name) from error
    finally:
        os.close(descriptor)
    return _facts(display_name, size, reader.uncompressed_bytes, header, records)


def _read(reader: BgzfReader, name: str, limits: InspectLimits) -> tuple[VcfHeader, RecordScanner]:
    deadline = time.monotonic() + limits.timeout_s if limits.timeout_s is not None else None
    header_reader = HeaderReader(name, limits)
    records: RecordScanner | None = None
    for batch in reader.batches():
        if deadline is not None and time.monotonic() > deadline:
            raise InspectionError("timeout")
        _check_sizes(reader, name, limits)
        if records is not None:
            records.feed(batch)
        elif (behind := header_reader.feed(batch)) is not None:
            header = header_reader.header
            records = RecordScanner(name, limits, header.n_samples, header.n_lines)
            records.feed(behind)
    if records is None:
        raise header_reader.finish()
    records.finish()
    return header_reader.header, records


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
    name: str, size: int, uncompressed: int, header: VcfHeader, records: RecordScanner
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
