"""A check that goes along with an upload says what a check afterwards says, and leaves nothing behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.genotypes import following as module
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.findings import Finding, InspectionError, StructureError
from app.genotypes.inspector import Inspector
from app.genotypes.structure import Inspection, inspect_file
from tests.genotypes.test_inspector import children, until, workers
from tests.genotypes.test_structure_properties import RELAXED, SMALL, WHOLE
from tests.genotypes.vcf_files import bgzf, vcf


def after_arrival(path: Path) -> VcfFacts | Finding:
    try:
        return inspect_file(path, display_name="x.vcf.gz", limits=SMALL)
    except StructureError as error:
        return error.finding


def along(path: Path, content: bytes, cuts: list[int], step_bytes: int) -> VcfFacts | Finding:
    """The verdict when the content arrives in pieces that end at the cuts."""
    path.write_bytes(b"")
    inspection = Inspection(path, "x.vcf.gz", SMALL)
    try:
        with path.open("r+b", buffering=0) as file:
            for start, stop in zip([0, *cuts], [*cuts, len(content)], strict=True):
                file.write(content[start:stop])
                while not inspection.advance(stop, step_bytes):
                    pass
        return inspection.finish()
    except StructureError as error:
        return error.finding
    finally:
        inspection.close()


@RELAXED
@given(
    cuts=st.lists(st.integers(0, len(WHOLE))),
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), max_size=2),
    length=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
    step_bytes=st.integers(1, 2000),
)
def test_inspection_when_a_file_arrives_in_pieces_then_it_says_what_a_check_afterwards_says(
    tmp_path: Path, cuts: list[int], flips: list[tuple[int, int]], length: int, step_bytes: int
) -> None:
    content = bytearray(WHOLE)
    for at, mask in flips:
        content[at] ^= mask
    whole = bytes(content[:length])
    path = tmp_path / "x.vcf.gz"
    found = along(path, whole, sorted(min(cut, length) for cut in cuts), step_bytes)
    assert found == after_arrival(path)


@pytest.fixture
async def inspector() -> AsyncIterator[Inspector]:
    inspector = Inspector(max_workers=1)
    yield inspector
    await inspector.close()
    assert not workers()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of one byte, so that small files are followed too."""
    monkeypatch.setattr(module, "STEP_BYTES", 1)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.002)


def open_files(pid: int, path: Path) -> int:
    """How often the process has the file open."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.removesuffix(" (deleted)") == str(path) for link in links)


async def test_follow_when_files_grow_side_by_side_then_one_process_judges_each(
    inspector: Inspector, tmp_path: Path
) -> None:
    async def send(number: int) -> VcfFacts | Finding:
        content = WHOLE if number % 2 else WHOLE[:-28]
        path = tmp_path / str(number)
        path.touch()
        async with inspector.follow(path, "x.vcf.gz", lambda: path.stat().st_size) as following:
            with path.open("ab", buffering=0) as file:
                for at in range(0, len(content), 200):
                    file.write(content[at : at + 200])
                    await asyncio.sleep(0.005)
            try:
                return await following.finish()
            except StructureError as error:
                return error.finding

    found = await asyncio.gather(*map(send, range(6)))
    assert found == [after_arrival(tmp_path / str(number)) for number in range(6)]
    (pid,) = workers()
    assert not any(open_files(pid, tmp_path / str(number)) for number in range(6))


async def test_follow_when_the_upload_is_aborted_then_the_process_lets_go_of_it_and_lives_on(
    inspector: Inspector, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(WHOLE[:1000])
    async with inspector.follow(path, "x", lambda: 1000):
        await until(lambda: workers() and open_files(workers()[0], path))
        (pid,) = workers()
        path.unlink()
    assert workers() == [pid]
    assert not open_files(pid, path)


async def test_follow_when_its_process_is_killed_then_the_file_is_checked_afterwards(
    inspector: Inspector, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(WHOLE[:1000])
    async with inspector.follow(path, "x.vcf.gz", lambda: path.stat().st_size) as following:
        await until(lambda: workers() and open_files(workers()[0], path))
        os.kill(workers()[0], signal.SIGKILL)
        path.write_bytes(WHOLE)
        assert await following.finish() == after_arrival(path)


async def test_follow_when_too_many_files_grow_then_the_rest_is_checked_afterwards(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.genotypes.inspector.MAX_FILES", 1)
    path = tmp_path / "x"
    path.write_bytes(WHOLE)
    async with (
        inspector.follow(path, "x.vcf.gz", lambda: len(WHOLE)) as first,
        inspector.follow(path, "x.vcf.gz", lambda: len(WHOLE)) as second,
    ):
        await until(workers)
        assert await first.finish() == await second.finish() == after_arrival(path)
    assert len(workers()) == 2  # one that follows and one that checks, whatever comes


async def test_follow_when_the_inspector_is_closed_then_finish_says_so(tmp_path: Path) -> None:
    inspector = Inspector(max_workers=1)
    path = tmp_path / "x"
    path.write_bytes(bgzf(vcf()))
    async with inspector.follow(path, "x", lambda: path.stat().st_size) as following:
        await until(workers)
        await inspector.close()
        with pytest.raises(InspectionError, match="worker_died"):
            await following.finish()
    await until(lambda: not [pid for pid in children(os.getpid()) if pid in workers()])


def test_inspection_when_its_time_is_over_then_a_step_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(WHOLE)
    inspection = Inspection(path, "x", InspectLimits(timeout_s=0.0))
    with pytest.raises(InspectionError, match="timeout"):
        inspection.finish()
    inspection.close()
