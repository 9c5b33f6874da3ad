"""PostgreSQL as a child process."""

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from app.embedded.errors import EmbeddedServerError
from app.embedded.orphans import running_server, wait_for_end
from app.embedded.privileges import Identity, choose_identity, ensure_private_dir
from app.embedded.process import ServerProcess, clean_environment, launch_command
from app.embedded.programs import POSTGRES_MAJOR, postgres_bin

_INITDB_TIMEOUT_S = 120.0
_PORT = 5432  # only names the socket: nothing listens on the network
_READY_LINE = 7  # LOCK_FILE_LINE_PM_STATUS - 1 of PostgreSQL's utils/pidfile.h

# The last server on these files, or a backend of it, has not quite gone.
_PASSING = re.compile(r'lock file "[^"]+" already exists|pre-existing shared memory block')

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_compression": "on",
    # Nobody replicates from here, no query is big enough to share out, and fewer processes start faster.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    # The log must hold no data: no statements, no `DETAIL: Key (email)=(…) already exists`.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class EmbeddedPostgres(ServerProcess):
    """PostgreSQL below `root`; whoever may enter its socket folder (our account, or root) is its superuser."""

    name: ClassVar[str] = "postgres"
    # "Fast" and "immediate" shutdown of PostgreSQL's manual, section 18.5.
    stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGINT, signal.SIGQUIT)

    def __init__(
        self,
        root: Path,
        *,
        max_connections: int = 100,
        settings: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 30.0,
    ) -> None:
        """`settings` are PostgreSQL's own and win over `SETTINGS` (tests turn `fsync` off)."""
        super().__init__(
            root,
            f".s.PGSQL.{_PORT}",
            start_timeout_s=start_timeout_s,
            stop_timeout_s=stop_timeout_s,
        )
        self._data = self.root / "data"
        self._pid_file = self._data / "postmaster.pid"
        self._settings = {
            **SETTINGS,
            "max_connections": str(max_connections),
            "unix_socket_directories": str(self._sockets),
            "port": str(_PORT),
            **(settings or {}),
        }

    @property
    def url(self) -> str:
        """A DSN for asyncpg and for PostgreSQL's own programs."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets), safe='/')}&port={_PORT}"

    def running_url(self) -> str | None:
        """`url`, if some process, maybe another one of ours, runs this server now."""
        pid = running_server(self._pid_file, self._data)
        return self.url if pid is not None and self._reports_ready(pid) else None

    def _prepare(self) -> tuple[Identity, list[str]]:
        programs = postgres_bin()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        libraries = programs.parents[1].with_suffix(".libs")
        needed = [programs / "postgres", programs / "initdb", libraries]
        identity = choose_identity(self.root, self._data, needed)
        self.root.chmod(0o711 if identity.mode == "account" else 0o700)
        for leftover in self.root.glob("data.new-*"):
            shutil.rmtree(leftover)
        if not self._data.exists():
            self._create_cluster(programs, identity)
        self._check_version()
        wait_for_end(self._pid_file, self._data, self._stop_timeout_s)
        # Had these been left by a server that lives, we would not be here; a stranger with the pid that
        # they name would make PostgreSQL refuse to start for as long as he lives.
        self._pid_file.unlink(missing_ok=True)
        for folder in (self._data, self._sockets):
            ensure_private_dir(folder, identity)
        for leftover in self._sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        return identity, [str(programs / "postgres"), "-D", str(self._data), *options]

    def _create_cluster(self, programs: Path, identity: Identity) -> None:
        # Beside, then renamed: an interrupted initdb leaves nothing that looks like a cluster.
        new = self.root / "data.new-0"
        ensure_private_dir(new, identity)
        command = [
            *(str(programs / "initdb"), "-D", str(new), "-U", "postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C"),
            # Sorts and folds case the same on every machine, whatever locales its C library has.
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--sync-method=syncfs", "--no-instructions"),
        ]
        done = subprocess.run(
            launch_command(identity, signal.SIGKILL, command),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=clean_environment(),
            timeout=_INITDB_TIMEOUT_S,
        )
        if done.returncode != 0:
            shutil.rmtree(new)
            raise EmbeddedServerError(
                f"initdb failed: {(done.stderr or done.stdout).strip()[-2000:]}"
            )
        new.rename(self._data)

    def _check_version(self) -> None:
        try:
            version = (self._data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise EmbeddedServerError(f"{self._data} is not a PostgreSQL data directory") from error
        if version != str(POSTGRES_MAJOR):
            raise EmbeddedServerError(
                f"{self._data} was made by PostgreSQL {version}, and version {POSTGRES_MAJOR} is installed: "
                "make a backup with the release that made it and restore it with this one"
            )

    async def _is_ready(self, pid: int) -> bool:
        return self._reports_ready(pid)

    def _reports_ready(self, pid: int) -> bool:
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return (
            len(lines) > _READY_LINE
            and lines[0] == str(pid)
            and lines[_READY_LINE].strip() == "ready"
        )

    def _may_retry(self, last_words: str) -> bool:
        return _PASSING.search(last_words) is not None
