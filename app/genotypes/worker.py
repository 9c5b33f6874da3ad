"""What runs in an inspector's worker process. Kept apart so that the process imports little."""

import ctypes
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from app.genotypes.facts import MIB, InspectLimits, VcfFacts
from app.genotypes.findings import InspectionError
from app.genotypes.indexing import NotIndexable, index_bytes
from app.genotypes.quality import Analysis, ResultFile, analyse
from app.genotypes.structure import Inspection, inspect_file

HEADROOM_BYTES = 512 * MIB
"""Address space that a worker may take beyond its imports; an inspection needs about 30 MiB."""

STEP_CONTENT_BYTES = 64 * MIB
"""Content that one step of a followed file checks at most: about 50 ms, then it is another file's turn."""

_board = (ctypes.c_double * 2)()
"""Memory that is shared with the parent: which file is being read, by its place, and the share of all bytes that were."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_followed: dict[int, Inspection] = {}


def prepare(parent_pid: int, board: ctypes.Array[ctypes.c_double], nice: int = 0) -> None:
    """Ties the process to its parent: it dies with it, even by kill -9, and cannot eat all memory."""
    global _board  # noqa: PLW0603 - a process has one, from its start on
    _board = board
    os.nice(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the line above
        os._exit(1)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + HEADROOM_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def inspect_here(path: Path, display_name: str, limits: InspectLimits) -> VcfFacts:
    """`inspect_file`, with a lack of memory told as such."""
    try:
        return inspect_file(path, display_name=display_name, limits=limits)
    except MemoryError as error:
        raise InspectionError("out_of_memory") from error


def follow_here(
    number: int, stop: int, begin: tuple[Path, str, InspectLimits] | None = None
) -> bool:
    """Take the file `number` one step further; whether byte `stop` is reached. The first call says what file that is.

    Raises: OSError; InspectionError: "timeout", "out_of_memory", or "worker_died" if the file was begun in a process before.
    """
    if begin is not None:
        _followed[number] = Inspection(*begin)
    if number not in _followed:
        raise InspectionError("worker_died")
    try:
        return _followed[number].advance(stop, STEP_CONTENT_BYTES)
    except MemoryError as error:
        raise InspectionError("out_of_memory") from error


def finish_here(number: int) -> VcfFacts:
    """The verdict on the file `number`, every byte of which is there. Raises: as `inspect_file`."""
    if number not in _followed:
        raise InspectionError("worker_died")
    try:
        return _followed[number].finish()
    except MemoryError as error:
        raise InspectionError("out_of_memory") from error


def forget_here(number: int) -> None:
    """Close the file `number`, if it is open."""
    if (inspection := _followed.pop(number, None)) is not None:
        inspection.close()


def index_here(path: Path) -> bytes | None:
    """`index_bytes`; None for a file that can have no index."""
    try:
        return index_bytes(path)
    except NotIndexable:
        return None
    except MemoryError as error:
        raise InspectionError("out_of_memory") from error


def analyse_here(files: Sequence[ResultFile], timeout_s: float) -> Analysis:
    """`analyse`, with a lack of memory told as such."""
    try:
        return analyse(files, timeout_s, _tell)
    except MemoryError as error:
        raise InspectionError("out_of_memory") from error


def _tell(place: int, share: float) -> None:
    _board[0], _board[1] = float(place), share
