"""One platform per data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from app.embedded.errors import DataDirLockedError, EmbeddedServerError


class DataDirLock:
    """Holds `DATA_DIR/lock` as long as the process lives; the kernel lets go of it even after kill -9.

    The file stays behind: removing it would let two processes lock two different files of the same name.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "lock"
        self._fd: int | None = None

    def acquire(self) -> Self:
        """Makes the data directory if need be and locks it.

        Raises:
            DataDirLockedError: another process holds it.
            EmbeddedServerError: the directory cannot be made or written.
        """
        try:
            # Accounts that root drops servers to must get through to their own folders, no further.
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"cannot use {self.path.parent} as the data directory: {error.strerror}"
            raise EmbeddedServerError(message) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise DataDirLockedError(
                f"{self.path.parent} is in use by another process (pid {holder}); "
                "stop that one first, or choose another data directory"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return self

    def release(self) -> None:
        """Lets another process in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
