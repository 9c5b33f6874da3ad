"""The file store: whole files or nothing, under any failure of the disk."""

import errno
import hashlib
import os
import resource
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import StorageFull, Unavailable
from app.storage import SHARDS, LocalStore, PendingFile, StoredFile

DATA = bytes(range(256)) * 5000


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "files", min_free_bytes=0)


def finish(pending: PendingFile, *chunks: bytes) -> StoredFile:
    for chunk in chunks:
        pending.write(chunk)
    return pending.commit()


def put(store: LocalStore, *chunks: bytes) -> StoredFile:
    return finish(store.create(), *chunks)


def all_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_commit_when_written_in_pieces_then_stores_bytes_and_digests(store: LocalStore) -> None:
    stored = put(store, DATA[:7], b"", DATA[7:])
    assert store.path(stored.key).read_bytes() == DATA
    assert stored.size_bytes == len(DATA)
    assert stored.sha256 == hashlib.sha256(DATA).hexdigest()
    assert stored.crc32 == zlib.crc32(DATA)


def test_commit_when_nothing_was_written_then_stores_an_empty_file(store: LocalStore) -> None:
    stored = put(store)
    assert (stored.size_bytes, stored.crc32) == (0, 0)
    assert store.path(stored.key).stat().st_size == 0


def test_write_when_the_system_takes_part_of_it_then_writes_the_rest(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:1000]))
    stored = put(store, DATA)
    monkeypatch.undo()
    assert store.path(stored.key).read_bytes() == DATA


def test_files_when_stored_then_only_the_owner_can_read_them(
    store: LocalStore, tmp_path: Path
) -> None:
    path = store.path(put(store, DATA).key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_pending_when_not_committed_then_is_no_stored_file(
    store: LocalStore, tmp_path: Path
) -> None:
    pending = store.create()
    pending.write(DATA)
    assert [path.parent.name for path in all_files(tmp_path)] == ["tmp"]
    pending.abort()
    pending.abort()
    assert all_files(tmp_path) == []


def test_abort_when_committed_then_changes_nothing(store: LocalStore) -> None:
    pending = store.create()
    pending.write(DATA)
    stored = pending.commit()
    pending.abort()
    assert store.path(stored.key).read_bytes() == DATA


def test_commit_when_the_file_has_ended_then_refuses_and_keeps_what_is_stored(
    store: LocalStore,
) -> None:
    pending = store.create()
    stored = finish(pending, DATA)
    for ended in (pending, store.create()):
        ended.abort()
        with pytest.raises(ValueError, match="has ended"):
            ended.commit()
    assert store.path(stored.key).read_bytes() == DATA


def failing(error: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_file_when_the_disk_is_full_then_says_so_and_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    pending = store.create()
    pending.write(DATA)
    monkeypatch.setattr(os, call, failing(error))
    with pytest.raises(StorageFull):
        finish(pending, DATA)
    assert all_files(tmp_path) == []


@pytest.mark.parametrize("method", ["mkdir", "rename"])
def test_commit_when_the_last_steps_fail_then_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    pending = store.create()
    pending.write(DATA)
    monkeypatch.setattr(Path, method, failing(errno.ENOSPC))
    with pytest.raises(StorageFull):
        pending.commit()
    assert all_files(tmp_path) == []


def test_commit_when_the_folder_cannot_be_synced_after_the_rename_then_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shard in SHARDS:
        (tmp_path / "files" / shard).mkdir()
    pending = store.create()
    pending.write(DATA)
    fsync, seen = os.fsync, []

    def second_fails(fd: int) -> None:
        seen.append(fd)
        if len(seen) == 2:
            raise OSError(errno.EIO, "broken")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(OSError, match="broken"):
        pending.commit()
    assert all_files(tmp_path) == []


def test_create_when_less_than_the_reserve_is_free_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        LocalStore(tmp_path, min_free_bytes=2**62).create()
    assert all_files(tmp_path) == []


def test_write_when_the_reserve_is_reached_on_the_way_then_refuses(
    store: LocalStore, tmp_path: Path
) -> None:
    pending = store.create()
    pending._min_free_bytes = 2**62
    with pytest.raises(StorageFull):
        finish(pending, *[bytes(8 * 1024 * 1024)] * 5)
    assert all_files(tmp_path) == []


def test_write_when_the_system_limits_file_sizes_then_leaves_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE gives EFBIG: not «full», but the file must go all the same."""
    program = (
        "import sys, pathlib, signal\n"
        "from app.storage import LocalStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "pending = LocalStore(pathlib.Path(sys.argv[1]), 0).create()\n"
        "try:\n    pending.write(bytes(4096))\nexcept OSError as error:\n    print(error.errno)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.stdout.strip() == str(errno.EFBIG)
    assert all_files(tmp_path) == []


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n"])
def test_path_when_it_is_not_a_key_then_refuses(store: LocalStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        store.path(key)


async def test_delete_when_done_twice_then_is_fine(store: LocalStore) -> None:
    key = put(store, DATA).key
    await store.delete(key)
    await store.delete(key)
    assert not store.path(key).exists()


async def test_sweep_when_a_temporary_file_is_old_then_removes_that_one_only(
    store: LocalStore, tmp_path: Path
) -> None:
    stored = put(store, DATA)
    old, new = store.create(), store.create()
    os.utime(old.path, (1, 1))
    os.utime(store.path(stored.key), (1, 1))
    assert await store.sweep_temporary(3600) == 1
    assert not old.path.exists()
    assert new.path.exists()
    assert store.path(stored.key).exists()
    new.abort()


async def test_list_keys_when_asked_for_each_shard_then_gives_the_old_ones(
    store: LocalStore,
) -> None:
    keys = {put(store, b"%d" % number).key for number in range(20)}
    (store.path(next(iter(keys))).parent / "stray").write_bytes(b"not ours")
    assert {key for shard in SHARDS for key in await store.list_keys(shard, 0)} == keys
    assert {key for shard in SHARDS for key in await store.list_keys(shard, 3600)} == set()


async def test_check_writable_when_it_is_then_leaves_nothing(
    store: LocalStore, tmp_path: Path
) -> None:
    await store.check_writable()
    assert all_files(tmp_path) == []


async def test_check_writable_when_the_folder_is_gone_then_is_unavailable(
    store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "files" / "tmp").rmdir()
    with pytest.raises(Unavailable):
        await store.check_writable()


async def test_check_writable_when_the_disk_is_full_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        await LocalStore(tmp_path, min_free_bytes=2**62).check_writable()
