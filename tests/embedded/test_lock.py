"""Two platforms never share a data directory."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded import DataDirLock, DataDirLockedError, EmbeddedServerError
from tests.embedded.conftest import REPOSITORY


def test_lock_when_free_then_makes_the_directory_and_names_the_holder(tmp_path: Path) -> None:
    data_dir = tmp_path / "a" / "data"
    with DataDirLock(data_dir) as lock:
        assert lock.path.read_text().strip() == str(os.getpid())
        assert stat.S_IMODE(data_dir.stat().st_mode) & 0o066 == 0


def test_lock_when_held_by_another_process_then_refused_with_its_pid(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from app.embedded import DataDirLock;"
        "lock = DataDirLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirLockedError, match=rf"{tmp_path} is in use .*pid {holder.pid}\b"):
            DataDirLock(tmp_path).acquire()
        holder.kill()
        holder.wait()
        DataDirLock(tmp_path).acquire().release()  # the kernel let go of it


def test_lock_when_released_then_free_again_for_the_same_process(tmp_path: Path) -> None:
    first = DataDirLock(tmp_path).acquire()
    with pytest.raises(DataDirLockedError):
        DataDirLock(tmp_path).acquire()
    first.release()
    first.release()
    with DataDirLock(tmp_path):
        pass


def test_lock_when_a_server_is_started_meanwhile_then_it_does_not_inherit_it(
    tmp_path: Path,
) -> None:
    lock = DataDirLock(tmp_path).acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        DataDirLock(tmp_path).acquire().release()
        child.kill()


def test_lock_when_the_directory_cannot_be_made_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"cannot use .*file/data as the data directory"):
        DataDirLock(tmp_path / "file" / "data").acquire()
