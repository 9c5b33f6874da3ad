"""The server and the sandbox as processes that a test starts, kills, and starts again."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from tests.support.client import Client

READY_S = 60.0
USERNAME = "test_user"
PASSWORD = "test123-long"


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Program:
    """One `python -m app …` process. `log` collects what it writes to standard error."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    process: Process | None = None

    async def start(self) -> None:
        """Start it and wait for its first line on standard output."""
        env = {**os.environ, **self.environment}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app", *self.arguments, env=env, stdout=PIPE, stderr=log
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await self.process.stdout.readline()
        assert line, f"{self.arguments[0]} did not start:\n{self.tail()}"

    async def kill(self) -> None:
        """End it with signal 9, as a crash would."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> int:
        """End it in an orderly way; give its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            async with asyncio.timeout(30):
                await self.process.wait()
        return int(self.process.returncode or 0)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def events(self) -> str:
        """The end of its log without the answered requests, of which a test that waits makes many."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([line for line in lines if "request.done" not in line][-40:])


@dataclass(slots=True)
class Scene:
    """A server and, unless another service is used, a sandbox, with what is needed to talk to both."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    sandbox_arguments: list[str] = field(default_factory=lambda: ["--engine", "instant"])
    with_sandbox: bool = True
    port: int = field(default_factory=free_port)
    sandbox_port: int = field(default_factory=free_port)
    client: Client = field(init=False)
    server: Program = field(init=False)
    sandbox: Program = field(init=False)

    def __post_init__(self) -> None:
        environment = {
            "FIP_DATA_DIR": str(self.root / "data"),
            "FIP_PORT": str(self.port),
            "FIP_ALLOWED_NETWORKS": "127.0.0.0/8",
            "FIP_BCRYPT_COST": "4",
            "FIP_MIN_FREE_BYTES": "1000000",
            "FIP_RATE_LIMIT_PER_MINUTE": "1000000",
            "FIP_LOG_FORMAT": "json",
            **self.settings,
        }
        self.server = Program(["serve"], environment, self.root / "server.log")
        arguments = ["sandbox", "--port", str(self.sandbox_port), *self.sandbox_arguments]
        arguments += ["--data-dir", str(self.root / "sandbox"), "--demo-user", "researcher"]
        self.sandbox = Program(arguments, {}, self.root / "sandbox.log")

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_base(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self.client = Client(session, self.base)
        try:
            if self.with_sandbox:
                await self.sandbox.start()
            for command, name in (("create-user", USERNAME), ("create-admin", "admin")):
                mail = ["--email", f"{name}@example.org"]
                await self.command(command, name, *mail, "--password-file", self._password_file())
            await self.server.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.kill()
        await self.sandbox.kill()
        await self.client.session.close()

    def _password_file(self) -> str:
        path = self.root / "password"
        path.write_text(PASSWORD)
        return str(path)

    async def command(self, *arguments: str) -> str:
        """Run a command of the platform to its end; give what it printed. Fails with its error line."""
        env = {**os.environ, **self.server.environment}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *arguments, env=env, stdout=PIPE, stderr=PIPE
        )
        async with asyncio.timeout(READY_S):
            out, err = await process.communicate()
        assert process.returncode == 0, f"{arguments}: {err.decode()[-2000:]}"
        return out.decode()

    async def ask_sandbox(self, method: str, path: str, **options: Any) -> Any:
        """Call the sandbox's side door."""
        async with self.client.session.request(
            method, self.sandbox_base + path, **options
        ) as response:
            assert response.status == 200, await response.text()
            return msgspec.json.decode(await response.read())

    async def sign_in(self, username: str = USERNAME) -> None:
        """Get a token."""
        await self.client.sign_in(username, PASSWORD)

    async def set_up_service(self, **changes: Any) -> tuple[int, int]:
        """Add the sandbox as a service, synchronise its panels, store a credential; give (service id, panel id)."""
        account = msgspec.json.decode((self.root / "sandbox" / "demo-account.json").read_bytes())
        await self.sign_in("admin")
        service = await self.client.call(
            "POST",
            "/services",
            expect=201,
            json={
                "name": "Sandbox",
                "slug": "sandbox",
                "api_type": "michigan",
                "base_url": self.sandbox_base,
                "allow_insecure": True,
                "credential_kind": "token",
                **changes,
            },
        )
        path = f"/services/{service['id']}"
        await self.client.store_token(service["id"], account["token"])
        await self.client.call("POST", f"{path}/reference-panels/sync", expect=200)
        await self.sign_in()
        await self.client.store_token(service["id"], account["token"])
        panels = await self.client.call("GET", f"{path}/reference-panels")
        return int(service["id"]), int(panels[0]["id"])
