"""Valkey, which speaks Redis' protocol, as a child process."""

import asyncio
import contextlib
import shutil
import signal
from pathlib import Path
from typing import ClassVar

from app.embedded.orphans import running_server, wait_for_end
from app.embedded.privileges import Identity, choose_identity, ensure_private_dir
from app.embedded.process import ServerProcess
from app.embedded.programs import valkey_server

_SOCKET_NAME = "valkey.sock"
_PING_TIMEOUT_S = 5.0
# What valkey-server says of an append-only file it cannot read (its src/aof.c).
_BROKEN_LOG = ("Bad file format reading the append only file", "AOF loading aborted")


class EmbeddedValkey(ServerProcess):
    """Valkey below `root`, on a Unix socket that only our account, or root, can reach."""

    name: ClassVar[str] = "valkey"
    stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM,)

    def __init__(
        self, root: Path, *, start_timeout_s: float = 60.0, stop_timeout_s: float = 10.0
    ) -> None:
        super().__init__(
            root, _SOCKET_NAME, start_timeout_s=start_timeout_s, stop_timeout_s=stop_timeout_s
        )
        self._data = self.root / "data"
        self._pid_file = self._data / "valkey.pid"
        self.socket = self._sockets / _SOCKET_NAME

    @property
    def url(self) -> str:
        """A URL for redis-py and for `arq.connections.RedisSettings.from_dsn`."""
        return f"unix://{self.socket}?db=0"

    def running_url(self) -> str | None:
        """`url`, if some process, maybe another one of ours, runs this server now."""
        running = running_server(self._pid_file, self._data) is not None
        return self.url if running and self.socket.is_socket() else None

    def _prepare(self) -> tuple[Identity, list[str]]:
        program = valkey_server()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = choose_identity(self.root, self._data, [program])
        self.root.chmod(0o711 if identity.mode == "account" else 0o700)
        wait_for_end(self._pid_file, self._data, self._stop_timeout_s)
        for folder in (self._data, self._sockets):
            ensure_private_dir(folder, identity)
        self.socket.unlink(missing_ok=True)
        return identity, [
            *(str(program), "--port", "0"),
            *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._data), "--pidfile", str(self._pid_file)),
            # At most a second of the queue is lost by a crash; all that matters is in PostgreSQL anyway.
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--daemonize", "no", "--set-proc-title", "no", "--loglevel", "warning"),
        ]

    async def _is_ready(self, pid: int) -> bool:
        if running_server(self._pid_file, self._data) != pid:
            return False
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PING_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self.socket)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        return False

    def _may_retry(self, last_words: str) -> bool:
        if not any(words in last_words for words in _BROKEN_LOG):
            return False
        # Everything in it can be made again from PostgreSQL, so a broken file must not keep us down.
        log = self._data / "appendonlydir"
        aside = self._data / "appendonlydir.broken"
        shutil.rmtree(aside, ignore_errors=True)
        log.rename(aside)
        return True
