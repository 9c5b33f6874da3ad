"""The receiving of `POST /jobs` alone, as a server: the form is read, hashed, judged by its head and its end, and kept.

What `POST /jobs` does besides, its database work and the structure check of every line, is left out, so that it promises what
the peers promise. The code is the product's: server, `read_form`, `IncomingFile`, storage. It prints its port.
"""

import asyncio
import sys
from pathlib import Path
from typing import cast

from aiohttp import web

from app.core.errors import InvalidInput
from app.genotypes.bgzf import has_eof_block
from app.storage import LocalStore
from app.usecases.intake import IncomingFile
from app.usecases.room import Room
from app.web.server import Runner
from app.web.upload import UploadLimits, read_form
from bench.runner import GIB

LIMITS = UploadLimits(total_bytes=100 * GIB, files=1, idle_s=60.0)


class _Endless:
    """Room for everything."""

    def take(self, size_bytes: int) -> None:
        """Use some."""


class _Form:
    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.files: list[IncomingFile] = []

    def take_field(self, name: str, value: str) -> None:
        """Take a text field."""

    async def open_file(
        self,
        name: str,  # noqa: ARG002
        file_name: str,
        expected_bytes: int | None,  # noqa: ARG002
    ) -> IncomingFile:
        """Begin a file."""
        pending = await asyncio.to_thread(self._store.create)
        self.files.append(IncomingFile(file_name, pending, cast("Room", _Endless()), 100 * GIB))
        return self.files[-1]


async def serve(folder: Path) -> None:
    """Serve until it is killed."""
    store = LocalStore(folder, 1_000_000)

    async def submit(request: web.Request) -> web.Response:
        form = _Form(store)
        await read_form(request, form, LIMITS)
        if not await asyncio.to_thread(has_eof_block, form.files[0].pending.path):
            raise InvalidInput("cut off")
        stored = await asyncio.to_thread(form.files[0].pending.commit)
        await store.delete(stored.key)
        return web.json_response({"sha256": stored.sha256}, status=201)

    app = web.Application(client_max_size=0)
    app.router.add_post("/jobs", submit)
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[2])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
