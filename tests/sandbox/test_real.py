"""The real engine: phases and imputes real genotypes, and the held-back truth says how well."""

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig
from app.sandbox.engine.bgzf import BgzfWriter, Lines
from app.sandbox.engine.tools import Tools
from app.sandbox.keys import ENGINE
from app.sandbox.reference import ExampleData, find_example
from tests.sandbox.support import User, files, messages, serving, unzip
from tests.sandbox.wes import WesUser

_MISSING = ", ".join(Tools.find().missing)
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {_MISSING}")

_SPACING = 6000  # bases between the sites of a chip
_SAMPLES = 60  # of the 203; the work grows with them
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    found = find_example(tmp_path_factory.mktemp("example"), fetch=False)
    if found is None:
        pytest.skip("the example data of Debian's shapeit4-example are not there")
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared reference, kept from one test to the next."""
    return tmp_path_factory.mktemp("prepared") / "reference"


@pytest.fixture
async def user(
    config: SandboxConfig, session: aiohttp.ClientSession, example: ExampleData, prepared: Path
) -> AsyncIterator[User]:
    if prepared.exists():
        shutil.copytree(prepared, config.data_dir / "reference")
    real = replace(config, engine="real", fetch_example=False)
    async with serving(real) as (app, base):
        assert _engine(app) == "real"
        yield User(session, base, "alice-token")
    if not prepared.exists() and (config.data_dir / "reference").exists():
        shutil.copytree(config.data_dir / "reference", prepared)


def _engine(app: web.Application) -> str:
    return app[ENGINE]


def _genotypes(cells: list[str]) -> list[str]:
    return [cell[:3].replace("|", "/") for cell in cells]


def _chip(example: ExampleData) -> Iterator[list[str]]:
    """Common sites some way apart, unphased: what a genotyping chip would have seen."""
    last = 0
    for line in Lines(example.unphased):
        if line.startswith(b"#"):
            continue
        cells = line.decode().split("\t")
        genotypes = _genotypes(cells[9 : 9 + _SAMPLES])
        frequency = sum(g.count("1") for g in genotypes) / len(genotypes) / 2
        is_snv = len(cells[3]) == len(cells[4]) == 1
        if is_snv and int(cells[1]) - last >= _SPACING and 0.05 <= frequency <= 0.95:
            last = int(cells[1])
            yield [*cells[:8], "GT", *genotypes]


@pytest.fixture(scope="module")
def chip(example: ExampleData) -> list[list[str]]:
    """The rows of a chip's VCF; a test that changes them copies them."""
    return list(_chip(example))


def _write_chip(example: ExampleData, path: Path, rows: list[list[str]]) -> Path:
    columns = next(line for line in Lines(example.unphased) if line.startswith(b"#CHROM"))
    with BgzfWriter(path) as file:
        names = b"\t".join(columns.split(b"\t")[: 9 + _SAMPLES])
        file.write(b"##fileformat=VCFv4.2\n##contig=<ID=20>\n" + names + b"\n")
        for row in rows:
            file.write("\t".join(row).encode() + b"\n")
    return path


async def test_real_job_when_run_then_imputed_encrypted_and_close_to_the_truth(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    path = _write_chip(example, tmp_path / "chip.vcf.gz", chip)
    job_id = await user.submit(path, meta="yes")
    states: list[int] = []
    bars: set[str] = set()
    async with asyncio.timeout(120):
        while (job := await user.job(job_id))["state"] in {1, 2, 3}:
            states.append(job["state"])
            bars |= {text.partition(")")[0] for text in messages(job, level=3)}
            await asyncio.sleep(0.05)
    job = await user.finish(job_id)
    assert job["state"] == 4
    # Waiting, running, and for a moment exporting (contracts/michigan.md §4), which one may see or miss; never back.
    assert states == sorted(states)
    assert 2 in states
    assert bars >= {"<b>Phasing with Eagle (0/1", "<b>Imputation (0/1"}
    assert f"Match: {len(chip)}" in messages(job, group="Quality Control")[1]
    assert any("shapeit4 4" in text for text in messages(job, level=2, group="Summary"))
    assert set(files(job)) == {"chr_20.zip", "qc_report.txt", "quality-control.html"}
    members = unzip(await user.fetch(job, "chr_20.zip"), "fi-secret")
    assert set(members) == {
        "chr20.dose.vcf.gz",
        "chr20.info.gz",
        "chr20.empiricalDose.vcf.gz",
    }
    _check_info(gzip.decompress(members["chr20.info.gz"]).decode(), len(chip))
    dose = gzip.decompress(members["chr20.dose.vcf.gz"]).decode().splitlines()
    assert "##mis_panel=h3africa-sandbox" in dose
    assert "##mis_phasing=eagle" in dose
    assert "##mis_pipeline=2.0.12" in dose
    typed = {row[1] for row in chip}
    assert _accuracy(dose, example, typed) > 0.8


async def test_real_wes_run_when_run_then_plain_indexed_and_close_to_the_truth(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    path = _write_chip(example, tmp_path / "chip.vcf.gz", chip)
    wes = WesUser(user.session, user.base, "alice-token")
    run = await wes.finish(await wes.submit(path))
    assert run["state"] == "COMPLETE", run["run_log"]
    found = {}
    for output in run["outputs"]:
        async with wes.session.get(output["file_url"], headers=wes.headers) as response:
            assert response.status == 200
            found[output["file_name"]] = await response.read()
    assert set(found) == {
        "chr20.dose.vcf.gz",
        "chr20.dose.vcf.gz.tbi",
        "chr20.info.gz",
        "qc_report.txt",
        "quality-control.html",
    }
    assert gzip.decompress(found["chr20.dose.vcf.gz.tbi"]).startswith(b"TBI\x01")
    _check_info(gzip.decompress(found["chr20.info.gz"]).decode(), len(chip))
    dose = gzip.decompress(found["chr20.dose.vcf.gz"]).decode().splitlines()
    assert _accuracy(dose, example, {row[1] for row in chip}) > 0.8


def _check_info(text: str, typed: int) -> None:
    lines = text.splitlines()
    assert "##source=Minimac v4" in text
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(rows) == 24_990
    flags = [set(row[7].split(";")) for row in rows]
    assert sum("TYPED" in f for f in flags) == typed
    assert sum("IMPUTED" in f for f in flags) == len(rows)
    assert sum(any(v.startswith("ER2=") for v in f) for f in flags) == typed


def _accuracy(dose: list[str], example: ExampleData, typed: set[str]) -> float:
    """Mean squared correlation of dosages with true genotypes at common sites that were not typed."""
    truth = {}
    for i, line in enumerate(Lines(example.unphased)):
        if not line.startswith(b"#") and i % 20 == 0:
            cells = line.decode().split("\t")
            if cells[1] not in typed:
                truth[cells[1]] = [g.count("1") for g in _genotypes(cells[9 : 9 + _SAMPLES])]
    found = []
    for row in dose:
        cells = row.split("\t", 9)
        if row.startswith("#") or cells[1] not in truth:
            continue
        true = np.array(truth[cells[1]], dtype=float)
        if not 0.1 <= true.mean() <= 1.9:
            continue
        at = cells[8].split(":").index("DS")
        dosages = np.array([float(c.split(":")[at]) for c in cells[9].split("\t")])
        found.append(np.corrcoef(true, dosages)[0, 1] ** 2 if dosages.std() else 0.0)
    assert len(found) > 100
    return float(np.mean(found))


async def test_real_qc_when_alleles_are_flipped_or_unknown_then_counted_listed_and_stopped(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    rows = [list(row) for row in chip]
    flipped = 0
    for row in rows:
        pair = {row[3], row[4]}
        if flipped < 101 and pair not in ({"A", "T"}, {"C", "G"}):
            row[3:5] = [allele.translate(_COMPLEMENT) for allele in row[3:5]]
            flipped += 1
    rows[-1][1] = str(int(rows[-1][1]) + 1)
    path = _write_chip(example, tmp_path / "flipped.vcf.gz", rows)
    job = await user.finish(await user.submit(path, mode="qc_only"))
    assert job["state"] == 5
    text = messages(job, level=1, group="Quality Control")[0]
    assert "More than 100 obvious strand flips have been detected." in text
    excluded = (await user.fetch(job, "statistics/snps-excluded.txt")).decode().splitlines()
    assert sum("Strand flip" in line for line in excluded) == 101
    typed_only = (await user.fetch(job, "statistics/snps-typed-only.txt")).decode().splitlines()
    assert len(typed_only) == 2
    assert typed_only[1].split("\t")[2] == rows[-1][1]
    assert "chr_20.zip" not in files(job)


async def test_real_qc_when_alleles_are_switched_then_the_panels_limit_decides(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    rows = [[*row[:3], row[4], row[3], *row[5:]] for row in chip]
    path = _write_chip(example, tmp_path / "switched.vcf.gz", rows)
    lax = await user.finish(await user.submit(path, mode="qc_only"))
    assert lax["state"] == 4
    strict = await user.finish(
        await user.submit(path, mode="qc_only", refpanel="agvp-sandbox", population="off")
    )
    assert "More than 100 allele switches" in messages(strict, level=1)[0]


@pytest.mark.parametrize(
    ("chromosome", "build", "message"),
    [
        ("22", "hg19", "This reference panel doesn't support chromosome 22."),
        ("chr20", "hg38", "Chain file hg38ToHg19.over.chain.gz not found."),
    ],
)
async def test_real_qc_when_panel_lacks_chromosome_or_build_then_said_so(
    user: User,
    example: ExampleData,
    chip: list[list[str]],
    tmp_path: Path,
    chromosome: str,
    build: str,
    message: str,
) -> None:
    rows = [[chromosome, *row[1:]] for row in chip[:50]]
    path = _write_chip(example, tmp_path / "other.vcf.gz", rows)
    job = await user.finish(await user.submit(path, build=build))
    assert job["state"] == 5
    assert message in messages(job, level=1, group="Quality Control")[0]
    assert "qc_report.txt" in files(job)


async def test_real_qc_when_positions_lie_outside_the_panel_then_no_chunk_is_left(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    rows = [[row[0], str(int(row[1]) + 30_000_000), *row[2:]] for row in chip]
    path = _write_chip(example, tmp_path / "far.vcf.gz", rows)
    job = await user.finish(await user.submit(path))
    assert "No chunks passed the QC step." in messages(job, level=1)[0]
    lost = (await user.fetch(job, "statistics/chunks-excluded.txt")).decode().splitlines()
    assert lost[1].startswith("chunk_20_0020000001_0040000000\t0\t0.0\t")


async def test_real_job_when_cancelled_then_its_programs_are_killed(
    user: User, example: ExampleData, chip: list[list[str]], tmp_path: Path
) -> None:
    path = _write_chip(example, tmp_path / "chip.vcf.gz", chip)
    job_id = await user.submit(path)
    await user.wait_until(job_id, lambda j: bool(messages(j, level=3)))
    _, body = await user.get(f"/api/v2/jobs/{job_id}/cancel")
    assert body["state"] == 6
    job = await user.wait_until(job_id, lambda j: j["endTime"] > 0, timeout_s=3)
    assert job["state"] == 6
    assert messages(job, level=1) == ["Imputation job canceled."]
    scratch = str(tmp_path).encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert not (scratch in command and command.startswith((b"shapeit4", b"minimac4")))


async def test_real_engine_when_insisted_on_without_tools_then_start_is_refused(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RuntimeError, match="the real engine lacks bcftools, tabix"):
        async with serving(replace(config, engine="real")):
            pass
    async with serving(replace(config, engine="auto")) as (app, _):
        assert _engine(app) == "instant"
