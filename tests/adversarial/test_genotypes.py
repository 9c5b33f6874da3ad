"""Files that are no bgzipped VCF of one chromosome, handed in as a job: each is told what it is and what to do."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib

from app.genotypes.bgzf import EOF_BLOCK
from app.genotypes.inspector import Inspector
from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing, refused
from tests.genotypes.vcf_files import FIXED, bgzf, header, plain_gzip, record, vcf
from tests.support.api import Api
from tests.support.jobs import Desk, genotypes, submit
from tests.support.people import Person

HG19 = {"build": "hg19"}


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.vcf", content)
    return buffer.getvalue()


GOOD = genotypes()
FLIPPED = GOOD[:60] + bytes([GOOD[60] ^ 4]) + GOOD[61:]
TEXT = vcf()
# What it is: the files, their name, the code, and words that the answer has.
CASES: dict[str, tuple[list[bytes], str, str, str]] = {
    "a plain VCF": ([TEXT.encode()], "a.vcf", "plain_vcf", "bgzip a.vcf"),
    "a plain VCF under a false name": ([TEXT.encode()], "a.vcf.gz", "plain_vcf", "bgzip"),
    "a VCF by gzip": ([plain_gzip(TEXT)], "a.vcf.gz", "not_bgzip", "bgzip"),
    "PLINK .bed": ([b"\x6c\x1b\x01" + b"\x00" * 50], "a.bed", "plink_bed", "plink"),
    "PLINK .pgen": ([b"\x6c\x1b\x10" + b"\x00" * 50], "a.pgen", "plink_pgen", "plink"),
    "PLINK .bim": ([b"20\trs1\t0\t100\tA\tG\n" * 5], "a.bim", "plink_bim", "plink"),
    "PLINK .fam": ([b"F1 S1 0 0 1 -9\n" * 5], "a.fam", "plink_fam", "plink"),
    "PLINK .ped": ([b"F1 S1 0 0 1 -9 A A G G\n" * 5], "a.ped", "plink_ped", "plink"),
    "a page": ([b"<!DOCTYPE html>\n<html><title>Sign in</title>"], "a.vcf.gz", "html_page", "page"),
    "a page behind blanks": ([b"\n\n  <HTML><body>502"], "a.vcf.gz", "html_page", "page"),
    "nothing": ([b""], "a.vcf.gz", "empty_file", "empty"),
    "one byte": ([b"\x1f"], "a.vcf.gz", "truncated", ""),
    "zeros": ([b"\0" * 100_000], "a.vcf.gz", "not_a_vcf", ""),
    "BCF": ([bgzf(b"BCF\x02\x02" + b"\0" * 100)], "a.bcf", "bcf", "bcftools"),
    "an index": ([bgzf(b"TBI\x01" + b"\0" * 100)], "a.vcf.gz.tbi", "index_file", ""),
    "BAM": ([bgzf(b"BAM\x01" + b"\0" * 100)], "a.bam", "alignments", ""),
    "CRAM": ([b"CRAM\x03\x00" + b"\0" * 100], "a.cram", "alignments", ""),
    "a ZIP": ([zipped(TEXT.encode())], "a.zip", "zip_archive", ""),
    "xz": ([lzma.compress(TEXT.encode())], "a.vcf.xz", "other_compression", "bgzip"),
    "bzip2": ([bz2.compress(TEXT.encode())], "a.vcf.bz2", "other_compression", "bgzip"),
    "text by bgzip": ([bgzf("hello\n" * 100)], "a.vcf.gz", "not_a_vcf", ""),
    "no end block": ([GOOD[: -len(EOF_BLOCK)]], "a.vcf.gz", "truncated", "again"),
    "cut in a block": ([GOOD[:-40]], "a.vcf.gz", "truncated", "again"),
    "cut in the first block": ([GOOD[:30]], "a.vcf.gz", "truncated", "again"),
    "a flipped bit": ([FLIPPED], "a.vcf.gz", "corrupt", ""),
    "bytes behind the end": ([GOOD + b"x" * 100], "a.vcf.gz", "truncated", "appended"),
    "a line that unpacks to 40 MB": ([bgzf(header() + record() + "#" + "A" * 40_000_000)], "a.vcf.gz", "line_too_long", ""),
    "unsorted": ([bgzf(vcf(record(200), record(100)))], "a.vcf.gz", "not_sorted", "sort"),
    "two chromosomes": ([bgzf(vcf(record(1), record(2, chromosome="21")))], "a.vcf.gz", "several_chromosomes", ""),
    "no GT": ([bgzf(vcf(record(form="DP", genotypes=["1", "2"])))], "a.vcf.gz", "no_genotypes", "GT"),
    "GT that is none": ([bgzf(vcf(record(genotypes=["a|b", "0|0"])))], "a.vcf.gz", "bad_genotype", ""),
    "a sample twice": ([bgzf(header(("A", "A")) + record())], "a.vcf.gz", "duplicate_sample", ""),
    "no samples": ([bgzf("##fileformat=VCFv4.2\n" + FIXED.removesuffix("\tFORMAT") + "\n" + "20\t1\t.\tA\tG\t.\t.\t.\n")], "a.vcf.gz", "no_samples", ""),
    "no records": ([bgzf(header())], "a.vcf.gz", "no_records", ""),
    "no columns": ([bgzf("##fileformat=VCFv4.2\n" + record())], "a.vcf.gz", "no_column_line", ""),
    "a column too few": ([bgzf(header() + record().rpartition("\t")[0] + "\n")], "a.vcf.gz", "wrong_columns", ""),
    "a position in words": ([bgzf(vcf(record("many")))], "a.vcf.gz", "bad_position", ""),
    "a position beyond all": ([bgzf(vcf(record(10**30)))], "a.vcf.gz", "bad_position", ""),
    "a chromosome nobody has": ([bgzf(vcf(record(chromosome="27")))], "a.vcf.gz", "unknown_chromosome", ""),
    "a NUL in the text": ([bgzf(vcf(record(ref="A\0")))], "a.vcf.gz", "bad_ref", ""),
    "the last line cut": ([bgzf((header() + record()).rstrip("\n")[:-3])], "a.vcf.gz", "last_line_cut", ""),
    "a header line of 9 MB": ([bgzf("##fileformat=VCFv4.2\n##x=" + "A" * 9_000_000)], "a.vcf.gz", "", ""),
    "the other build": ([genotypes("chr20")], "a.vcf.gz", "prefix_mismatch", ""),
    "one chromosome twice": ([GOOD, GOOD], "a.vcf.gz", "chromosome_twice", ""),
    "different samples": ([GOOD, genotypes("21", samples=("B", "A"))], "a.vcf.gz", "samples_differ", ""),
    "different numbers of samples": ([GOOD, genotypes("21", samples=("A", "B", "C"))], "a.vcf.gz", "sample_counts_differ", ""),
    "one good, one bad": ([GOOD, genotypes("21")[:-40]], "a.vcf.gz", "truncated", ""),
}  # fmt: skip


async def test_job_when_a_file_is_no_bgzipped_vcf_then_says_what_it_is_and_what_to_do(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    for what, (files, name, code, words) in CASES.items():
        async with leaves_nothing(deps):
            answer = await submit(client, alice, desk, *files, name=name)
        told = refused(answer, 400, code or answer.json()["code"], about=what)
        assert words in told["message"] + " " + told["action"], (what, told)
        assert told["errors"][0]["field"] == "input_file"
        assert len(answer.body) < 4000, what


async def test_job_when_the_good_file_comes_then_the_same_way_takes_it(
    client: Api, alice: Person, desk: Desk
) -> None:
    answer = await submit(client, alice, desk, GOOD, genotypes("21"), genotypes("X"))
    assert answer.status == 201, answer.text


async def test_job_when_the_check_runs_in_its_own_process_then_the_answer_is_the_same(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    inspector = Inspector(max_workers=1)
    object.__setattr__(deps, "inspector", inspector)
    try:
        async with leaves_nothing(deps):
            for what in ("unsorted", "a line that unpacks to 40 MB", "a header line of 9 MB"):
                files, name, code, _ = CASES[what]
                answer = await submit(client, alice, desk, *files, name=name)
                refused(answer, 400, code or answer.json()["code"], about=what)
    finally:
        await inspector.close()


async def test_job_when_the_message_would_repeat_the_file_then_it_is_short_and_clean(
    client: Api, alice: Person, desk: Desk
) -> None:
    evil = "\x1b[31m\u202e<script>" + "A" * 3000
    files = [
        bgzf(header((evil, evil)) + record()),
        bgzf(vcf(record(chromosome=evil))),
        bgzf(vcf(record(evil))),
        bgzf(header(("A", "B"), "##contig=<ID=" + evil) + record(alt=evil)),
        gzip.compress(zlib.compress(evil.encode())),
    ]
    for number, file in enumerate(files):
        answer = await submit(
            client,
            alice,
            desk,
            file,
            name="".join(char for char in evil if char.isprintable()) + ".vcf.gz",
        )
        told = refused(answer, 400, answer.json()["code"], about=number)
        assert len(told["message"]) < 700, (number, told)
        assert told["message"].isprintable(), (number, told)
