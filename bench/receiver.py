"""The receiving of `POST /jobs` alone, as a server: the form is read, hashed, judged by its head and its end, and kept.

What `POST /jobs` does besides, its database work and the structure check of every line, is left out, so that it promises what
the peers promise. The code is the product's: server, `read_form`, storage. It prints its port.
"""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from app.core.errors import InvalidInput
from app.genotypes.bgzf import has_eof_block
from app.genotypes.sniff import sniff
from app.storage import LocalStore, PendingFile
from app.web.server import Runner, keep_buffers
from app.web.upload import UploadLimits, read_form
from bench.runner import GIB

LIMITS = UploadLimits(total_bytes=100 * GIB, files=1, idle_s=60.0)


class _Part:
    """A file of the form, as `app.usecases.intake` has it, but without quota and structure check."""

    def __init__(self, name: str, pending: PendingFile) -> None:
        self._name = name
        self.pending = pending
        self.write = pending.write
        self.finish = pending.finish

    def judge(self, head: bytes) -> None:
        """Look at the first bytes."""
        if (finding := sniff(head, self._name)) is not None:
            raise InvalidInput(finding.message)


class _Form:
    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.files: list[_Part] = []

    def take_field(self, name: str, value: str) -> None:
        """Take a text field."""

    async def open_file(
        self,
        name: str,  # noqa: ARG002
        file_name: str,
        expected_bytes: int | None,  # noqa: ARG002
    ) -> _Part:
        """Begin a file."""
        pending = await asyncio.to_thread(self._store.create)
        self.files.append(_Part(file_name, pending))
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
    keep_buffers()
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[2])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
