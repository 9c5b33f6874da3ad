"""Where files live: a folder of our own, under random keys that say nothing about the files.

A file is received under `<root>/tmp`, hashed while it is written, and becomes visible in one rename when it is whole and on
the disk. Whatever ends early leaves at most a temporary file, which `sweep_temporary` removes. What a key stands for is
known to the database alone; keys without a row are found by `list_keys` and removed by the upkeep task.

Methods without `async` block and belong in a worker thread.
"""

import asyncio
import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import deflate

from app.core.errors import StorageFull, Unavailable

SHARDS = tuple(f"{number:02x}" for number in range(256))
_KEY = re.compile(r"[0-9a-f]{32}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CHECK_EVERY_BYTES = 32 * 1024 * 1024
"""Free space is looked at this often while a file grows."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is whole and on the disk. `crc32` is the one of ZIP (ISO-HDLC), `sha256` lower-case hex."""

    key: str
    size_bytes: int
    sha256: str
    crc32: int


@contextmanager
def _full_is_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("The storage is full") from error
        raise


class PendingFile:
    """A file being received. All methods block; one thread at a time may use it, and any may `abort` it.

    A failed `write` or `commit` leaves nothing behind; after any end, `abort` does nothing.
    """

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes
        self._key = secrets.token_hex(16)
        self._path = root / "tmp" / self._key
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._unchecked = 0
        self._ended = False
        self._lock = (
            threading.RLock()
        )  # a descriptor must not be closed (and given out anew) under a write
        self.size_bytes = 0
        with _full_is_told():
            self._check_free()
            self._fd = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )

    @property
    def path(self) -> Path:
        """Where the bytes are until the commit, for reading along."""
        return self._path

    @property
    def sha256(self) -> str:
        """The digest of what was written so far, in lower-case hex."""
        return self._sha256.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises StorageFull, and OSError when the disk fails or the file was aborted."""
        view = memoryview(data)
        try:
            with self._lock, _full_is_told():
                self._unchecked += len(view)
                if self._unchecked >= _CHECK_EVERY_BYTES:
                    self._check_free()
                self._sha256.update(view)
                self._crc32 = deflate.crc32(view, self._crc32)
                while view:
                    written = os.write(self._fd, view)
                    self.size_bytes += written
                    view = view[written:]
        except BaseException:
            self.abort()
            raise

    def finish(self) -> None:
        """Make its bytes durable and close it, still invisible. Raises StorageFull, and OSError when the disk fails."""
        try:
            with self._lock, _full_is_told():
                if self._fd >= 0:
                    os.fsync(self._fd)
                    self._close()
        except BaseException:
            self.abort()
            raise

    def commit(self) -> StoredFile:
        """Make it durable and visible. Raises StorageFull, and OSError when the disk fails."""
        if self._ended:
            raise ValueError("this file has ended already")
        self.finish()
        final = self._root / self._key[:2] / self._key
        try:
            with self._lock, _full_is_told():
                _make_durable_dir(final.parent)
                self._path.rename(final)
                _sync_dir(final.parent)
        except BaseException:
            with suppress(OSError):
                final.unlink()
            self.abort()
            raise
        self._ended = True
        return StoredFile(self._key, self.size_bytes, self._sha256.hexdigest(), self._crc32)

    def abort(self) -> None:
        """Throw it away."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._close()
            with suppress(OSError):
                self._path.unlink()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _check_free(self) -> None:
        self._unchecked = 0
        _check_free(self._root, self._min_free_bytes)


class LocalStore:
    """A folder of files. `min_free_bytes` of the disk stay free for the rest of the machine."""

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes
        (root / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self) -> PendingFile:
        """Begin a file (blocks). Raises StorageFull."""
        return PendingFile(self._root, self._min_free_bytes)

    def path(self, key: str) -> Path:
        """Give the place of a stored file. Raises ValueError for what is not a key."""
        if not _KEY.fullmatch(key):
            raise ValueError("this is not a storage key")
        return self._root / key[:2] / key

    def remove(self, key: str) -> None:
        """Remove a file (blocks: unlinking a cached 1 GiB file takes 0.1 s); one that is gone already is fine."""
        self.path(key).unlink(missing_ok=True)

    async def delete(self, key: str) -> None:
        """Remove a file; one that is gone already is fine."""
        await asyncio.to_thread(self.remove, key)

    async def sweep_temporary(self, older_than_s: float) -> int:
        """Remove what broken uploads left: temporary files not written to for `older_than_s`; give their number."""
        return await asyncio.to_thread(self._sweep, older_than_s)

    async def list_keys(self, shard: str, older_than_s: float) -> list[str]:
        """Give the keys of one of `SHARDS` that are older than `older_than_s`, to be compared with the database."""
        return await asyncio.to_thread(self._list, shard, older_than_s)

    async def check_writable(self) -> None:
        """Write and remove a small file. Raises StorageFull, Unavailable."""
        try:
            await asyncio.to_thread(self._probe)
        except OSError as error:
            raise Unavailable("The storage cannot be written to") from error

    async def count_free(self) -> int | None:
        """Give the bytes that may still be stored here; None where that cannot be told."""
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._root)
        except OSError:
            return None
        return max(0, usage.free - self._min_free_bytes)

    def _sweep(self, older_than_s: float) -> int:
        limit = time.time() - older_than_s
        removed = 0
        for entry in os.scandir(self._root / "tmp"):
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime <= limit:
                    Path(entry.path).unlink()
                    removed += 1
        return removed

    def _list(self, shard: str, older_than_s: float) -> list[str]:
        if shard not in SHARDS:
            raise ValueError("this is not a shard")
        limit = time.time() - older_than_s
        found = []
        try:
            entries = list(os.scandir(self._root / shard))
        except FileNotFoundError:
            return []
        for entry in entries:
            with suppress(FileNotFoundError):
                # The rename at commit sets ctime, while mtime is the last write's.
                if _KEY.fullmatch(entry.name) and entry.stat().st_ctime <= limit:
                    found.append(entry.name)
        return found

    def _probe(self) -> None:
        pending = self.create()
        try:
            pending.write(b"probe")
        finally:
            pending.abort()


def _check_free(root: Path, min_free_bytes: int) -> None:
    state = os.statvfs(root)
    if state.f_bavail * state.f_frsize < min_free_bytes:
        raise StorageFull("The storage is full")


def _make_durable_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    _sync_dir(path.parent)


def _sync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
