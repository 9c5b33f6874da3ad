"""Results are received whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from app.adapters.base import Rejected
from app.core.errors import StorageFull
from app.storage import LocalStore
from app.usecases.results import StoreSink


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "files", min_free_bytes=0)


def put(sink: StoreSink, name: str, data: bytes, *, finish: bool = True) -> None:
    file = sink.open(name)
    file.write(data)
    if finish:
        file.finish()


def stored_files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_commit_all_when_files_are_finished_then_keeps_them_in_order(store: LocalStore) -> None:
    sink = StoreSink(store, 1000)
    put(sink, "chr20.info.gz", b"one")
    put(sink, "statistics/x.txt", b"two")
    kept = sink.commit_all()
    assert [name for name, _ in kept] == ["chr20.info.gz", "statistics/x.txt"]
    assert [store.path(item.key).read_bytes() for _, item in kept] == [b"one", b"two"]


def test_commit_all_when_a_file_is_not_finished_then_leaves_it_out(
    store: LocalStore, tmp_path: Path
) -> None:
    sink = StoreSink(store, 1000)
    put(sink, "cut.gz", b"one", finish=False)
    put(sink, "whole.gz", b"two")
    assert [name for name, _ in sink.commit_all()] == ["whole.gz"]
    assert len(stored_files(tmp_path)) == 1


def test_open_when_a_name_comes_twice_then_keeps_both(store: LocalStore) -> None:
    sink = StoreSink(store, 1000)
    put(sink, "a.txt", b"one")
    put(sink, "a.txt", b"two")
    assert [name for name, _ in sink.commit_all()] == ["a.txt", "a-2.txt"]


def test_write_when_all_files_together_pass_the_limit_then_refuses(
    store: LocalStore, tmp_path: Path
) -> None:
    sink = StoreSink(store, 5)
    put(sink, "a", b"123")
    with pytest.raises(Rejected):
        put(sink, "b", b"456")
    sink.abort_all()
    assert stored_files(tmp_path) == []


def test_commit_all_when_the_disk_fails_on_the_way_then_keeps_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = StoreSink(store, 1000)
    for name in "abc":
        put(sink, name, b"data")
    rename, calls = Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(StorageFull):
        sink.commit_all()
    assert stored_files(tmp_path) == []


def test_abort_all_when_it_was_committed_then_leaves_the_files(
    store: LocalStore, tmp_path: Path
) -> None:
    sink = StoreSink(store, 1000)
    put(sink, "a", b"data")
    sink.commit_all()
    sink.abort_all()
    assert len(stored_files(tmp_path)) == 1
