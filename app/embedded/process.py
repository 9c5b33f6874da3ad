"""A server as our direct child: started, watched, started again when it dies, and never left behind."""

import asyncio
import contextlib
import os
import signal
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self

from app.embedded.errors import EmbeddedServerError
from app.embedded.privileges import Identity
from app.embedded.sockets import socket_dir

LAUNCHER = Path(__file__).with_name("launcher.py")
RESTART_DELAYS_S = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Waits before the first, second, … attempt to start a server again that died; the last one goes for all after it."""
STABLE_AFTER_S = 60.0
"""A server that ran this long counts as healthy: its next death starts the delays from the beginning."""
LOG_LIMIT_BYTES = 4 * 1024 * 1024
_POLL_S = 0.01


class Report(Protocol):
    """Takes an event and its fields, as structlog's methods do."""

    def __call__(self, event: str, /, **fields: object) -> object: ...


def launch_command(
    identity: Identity, death_signal: signal.Signals, command: list[str]
) -> list[str]:
    """The command line that runs `command` as `identity`; it gets `death_signal` when we die."""
    return [
        *(sys.executable, "-I", "-S", str(LAUNCHER)),
        *(str(os.getpid()), str(int(death_signal))),
        *(identity.mode, str(identity.uid), str(identity.gid)),
        *command,
    ]


def clean_environment() -> dict[str, str]:
    """What a server may know of our environment: nothing, because ours has secrets."""
    environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
    if libraries := os.environ.get(
        "LD_LIBRARY_PATH"
    ):  # some builds of Python need it to run at all
        environment["LD_LIBRARY_PATH"] = libraries
    return environment


class ServerProcess(ABC):
    """One server below the folder `root`, to be used from one event loop, which runs in the main thread.

    The kernel signals the server when the thread that started it ends, hence the main thread.
    """

    name: ClassVar[str]
    stop_signals: ClassVar[tuple[signal.Signals, ...]]
    """In this order, each after the server had `stop_timeout_s`; the first is also sent when we die."""

    def __init__(
        self, root: Path, socket_name: str, *, start_timeout_s: float, stop_timeout_s: float
    ) -> None:
        self.root = root.resolve()
        self.log_path = self.root / f"{self.name}.log"
        self._sockets = socket_dir(self.root, socket_name)
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._process: Process | None = None
        self._lifecycle = asyncio.Lock()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where to connect; the same before and after a restart."""

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs."""
        return self._process.pid if self._process is not None else None

    @abstractmethod
    def _prepare(self) -> tuple[Identity, list[str]]:
        """Gets the folders ready, waits for a server left by a dead predecessor, and gives the command.

        Blocking; runs in a thread.
        """

    @abstractmethod
    async def _is_ready(self, pid: int) -> bool:
        """Whether the server that is process `pid` answers."""

    @abstractmethod
    def _may_retry(self, last_words: str) -> bool:
        """Whether a server that ended while starting, saying `last_words`, should be tried again."""

    async def start(self) -> str:
        """Starts the server if it does not run, and gives `url` once it answers.

        Raises:
            EmbeddedServerError: it does not start; the message has its last words.
        """
        async with self._lifecycle:
            if self._process is None:
                await self._launch()
        return self.url

    async def stop(self) -> None:
        """Ends the server in an orderly way if it runs, and by force if that takes too long."""
        async with self._lifecycle:
            await self._end()

    async def restart(self) -> str:
        """Ends the server and starts it again."""
        async with self._lifecycle:
            await self._end()
            await self._launch()
        return self.url

    async def supervise(self, report: Report) -> None:
        """Starts the server again whenever it dies, until `stop`; to be run as a task after `start`.

        It never gives up: what keeps a server down, a full disk mostly, may pass, and then it is back unasked.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        while (process := self._process) is not None:
            since = loop.time()
            status = await process.wait()
            if loop.time() - since >= STABLE_AFTER_S:
                failures = 0
            if self._process is process:
                report(f"embedded.{self.name}.died", status=status)
            while self._process is process:  # neither stopped nor restarted by somebody else
                await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)])
                failures += 1
                await self._replace(process, report)

    async def _replace(self, dead: Process, report: Report) -> None:
        async with self._lifecycle:
            if self._process is not dead:
                return
            try:
                await self._launch()
            except EmbeddedServerError as error:
                report(f"embedded.{self.name}.not_restarted", reason=str(error))
            else:
                report(f"embedded.{self.name}.restarted", pid=self.pid)

    async def _launch(self) -> None:
        try:
            await self._launch_or_fail()
        except OSError as error:
            raise EmbeddedServerError(
                f"{self.name} cannot use {error.filename or self.root}: {error.strerror}"
            ) from error

    async def _launch_or_fail(self) -> None:
        identity, command = await asyncio.to_thread(self._prepare)
        deadline = asyncio.get_running_loop().time() + self._start_timeout_s
        while True:
            log_start = self._rotate_log()
            process = await self._spawn(identity, command)
            try:
                if await self._becomes_ready(process, deadline):
                    self._process = process
                    return
            except BaseException:
                await self._signal_until_dead(process)
                raise
            last_words = self._read_log(log_start)
            late = asyncio.get_running_loop().time() > deadline
            if late or not self._may_retry(last_words):
                raise EmbeddedServerError(f"{self.name} did not start: {last_words}")
            await asyncio.sleep(10 * _POLL_S)

    async def _spawn(self, identity: Identity, command: list[str]) -> Process:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.log_path, flags, 0o600)
        try:
            if identity.mode in (
                "account",
                "passer",
            ):  # which may run the platform itself another day
                os.fchown(fd, identity.uid, identity.gid)
            return await asyncio.create_subprocess_exec(
                *launch_command(identity, self.stop_signals[0], command),
                stdin=DEVNULL,
                stdout=fd,
                stderr=fd,
                cwd="/",
                env=clean_environment(),
                start_new_session=True,  # Ctrl-C is for us; we end the server when its clients are done
            )
        finally:
            os.close(fd)

    async def _becomes_ready(self, process: Process, deadline: float) -> bool:
        loop = asyncio.get_running_loop()
        while process.returncode is None:
            if await self._is_ready(process.pid):
                return True
            if loop.time() > deadline:
                raise EmbeddedServerError(
                    f"{self.name} was not ready after {self._start_timeout_s:.0f} s; see {self.log_path}"
                )
            await asyncio.sleep(_POLL_S)
        return False

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await self._signal_until_dead(process)
            if self._sockets.parent != self.root:  # nobody else would clear it away there
                with contextlib.suppress(OSError):
                    self._sockets.rmdir()

    async def _signal_until_dead(self, process: Process) -> None:
        for number in (*self.stop_signals, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._stop_timeout_s):
                    await process.wait()
                    return

    def _rotate_log(self) -> int:
        try:
            size = self.log_path.stat().st_size
        except FileNotFoundError:
            return 0
        if size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
            return 0
        return size

    def _read_log(self, start: int) -> str:
        with self.log_path.open("rb") as file:
            file.seek(start)
            text = file.read(LOG_LIMIT_BYTES).decode("utf-8", "replace").strip()
        return text[-2000:] or f"it said nothing in {self.log_path}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
