"""The inspector's processes: they are few, they can be killed, and they leave nothing behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.genotypes import slots as slots_module
from app.genotypes.facts import InspectLimits
from app.genotypes.findings import Code, InspectionError, StructureError
from app.genotypes.inspector import Inspector
from app.genotypes.quality import ResultFile
from tests.genotypes.test_quality import HEAD, site
from tests.genotypes.vcf_files import bgzf, plain_gzip, vcf


def children(pid: int) -> list[int]:
    """All processes that have `pid` as their parent, or its children, and so on."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                child = int(status.parent.name)
                found += [child, *children(child)]
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers() -> list[int]:
    """The worker processes of this one (the other child of multiprocessing is its resource tracker)."""
    found = []
    for pid in children(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)


async def new_worker(old: int = 0) -> int:
    """The pid of the worker that is not `old`, as soon as it is there."""
    await until(lambda: [pid for pid in workers() if pid != old])
    return next(pid for pid in workers() if pid != old)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def inspector() -> AsyncIterator[Inspector]:
    inspector = Inspector(max_workers=2, grace_s=0.3)
    yield inspector
    await inspector.close()
    assert workers() == []


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    path.write_bytes(bgzf(vcf()))
    return path


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """A file on which a worker hangs: opening a pipe that nobody writes to blocks."""
    path = tmp_path / "stuck"
    os.mkfifo(path)
    return path


async def test_inspect_when_files_are_good_or_bad_then_gives_facts_or_the_finding(
    inspector: Inspector, good: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(plain_gzip(vcf()))

    assert workers() == []
    facts = await inspector.inspect(good, "cohort.vcf.gz")
    assert (facts.name, facts.n_variants) == ("cohort.vcf.gz", 2)
    with pytest.raises(StructureError) as caught:
        await inspector.inspect(bad, "cohort.vcf.gz")
    assert caught.value.finding.code == Code.NOT_BGZIP
    assert "gunzip" in str(caught.value)
    with pytest.raises(FileNotFoundError):
        await inspector.inspect(tmp_path / "gone", "cohort.vcf.gz")
    assert len(workers()) == 1


async def test_inspect_when_many_files_come_at_once_then_workers_stay_few(
    inspector: Inspector, good: Path
) -> None:
    jobs = [asyncio.create_task(inspector.inspect(good, str(number))) for number in range(20)]
    assert [facts.name for facts in await asyncio.gather(*jobs)] == [str(n) for n in range(20)]
    assert len(workers()) == 2


async def test_inspect_when_idle_worker_was_killed_then_a_new_one_answers(
    inspector: Inspector, good: Path
) -> None:
    await inspector.inspect(good, "a")
    (worker,) = workers()
    kill(worker)
    await until(lambda: not is_alive(worker))
    assert (await inspector.inspect(good, "b")).n_variants == 2


async def test_inspect_when_worker_is_killed_at_work_then_it_is_tried_once_more(
    inspector: Inspector, stuck: Path
) -> None:
    task = asyncio.create_task(inspector.inspect(stuck, "a"))
    first = await new_worker()
    kill(first)
    kill(await new_worker(first))
    with pytest.raises(InspectionError) as caught:
        await task
    assert caught.value.reason == "worker_died"


async def test_inspect_when_worker_does_not_answer_in_time_then_it_is_killed(
    inspector: Inspector, stuck: Path, good: Path
) -> None:
    with pytest.raises(InspectionError) as caught:
        await inspector.inspect(stuck, "a", timeout_s=0.2)
    assert caught.value.reason == "timeout"
    assert (await inspector.inspect(good, "b")).n_variants == 2


async def test_inspect_when_neighbour_times_out_then_it_does_not_notice(
    inspector: Inspector, stuck: Path, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    neighbour = asyncio.create_task(inspector.inspect(slow, "slow"))
    await new_worker()
    with pytest.raises(InspectionError):
        await inspector.inspect(stuck, "stuck", timeout_s=0.2)
    await asyncio.to_thread(lambda: os.close(os.open(slow, os.O_WRONLY)))
    with pytest.raises(OSError, match="Illegal seek"):  # it goes on, and finds that it is a pipe
        await neighbour


async def test_inspect_when_caller_gives_up_then_worker_is_killed(
    inspector: Inspector, stuck: Path, good: Path
) -> None:
    task = asyncio.create_task(inspector.inspect(stuck, "a"))
    worker = await new_worker()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not is_alive(worker))
    assert (await inspector.inspect(good, "b")).n_variants == 2


async def test_close_when_inspection_runs_then_it_ends_at_once(stuck: Path) -> None:
    inspector = Inspector()
    task = asyncio.create_task(inspector.inspect(stuck, "a"))
    await new_worker()
    await inspector.close()
    with pytest.raises(InspectionError):
        await task
    with pytest.raises(InspectionError):
        await inspector.inspect(stuck, "b")
    assert workers() == []


async def test_inspect_when_memory_is_short_then_says_so(tmp_path: Path) -> None:
    """The worker may take half a gigabyte; a line of more than that, with the limit lifted, is too much."""
    path = tmp_path / "huge"
    block = bgzf(b"x" * 65280)[:-28]
    path.write_bytes(bgzf(vcf())[:-28] + block * 12_000 + bgzf("\n"))
    inspector = Inspector(limits=InspectLimits(max_line_bytes=2**32, max_ratio=2_000))
    with pytest.raises(InspectionError) as caught:
        await inspector.inspect(path, "huge")
    assert caught.value.reason == "out_of_memory"
    await inspector.close()


PARENT = """
    import asyncio, sys
    from pathlib import Path
    from app.genotypes.inspector import Inspector

    async def main():
        inspector = Inspector()
        await inspector.inspect(Path(sys.argv[1]), "good")
        print("ready", flush=True)
        await inspector.inspect(Path(sys.argv[2]), "stuck")

    if __name__ == "__main__":
        asyncio.run(main())
"""


async def test_workers_when_parent_is_killed_then_they_die_with_it(
    tmp_path: Path, good: Path, stuck: Path
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script, good, stuck],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # multiprocessing says that it tidies up behind the dead
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        left_behind = children(parent.pid)
        parent.kill()
    assert left_behind
    await until(lambda: not any(map(is_alive, left_behind)))


async def test_analysis_when_files_are_large_then_it_is_told_how_far_it_has_come(
    tmp_path: Path, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "TELL_S", 0.02)
    files = []
    for place, name in enumerate(("chr1.info.gz", "chr2.info.gz")):
        lines = (site(n, f"IMPUTED;AF=0.2;MAF=0.2;AVG_CS=1;R2=0.{n % 997:03}") for n in range(200_000))  # fmt: skip
        (tmp_path / name).write_bytes(bgzf((HEAD + "".join(lines)).encode()))
        files.append(ResultFile(tmp_path / name, name, place, None))
    heard: list[tuple[float, str]] = []

    async def hear(share: float, name: str) -> None:
        heard.append((share, name))

    result = await inspector.analyse(files, 60, hear)

    assert result.imputed == 400_000
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0 < share < 1}) > 3
    assert {name for share, name in heard if share > 0} == {"chr1.info.gz", "chr2.info.gz"}
    assert all(share >= 0.5 for share, name in heard if name == "chr2.info.gz")
