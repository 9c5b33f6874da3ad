"""What the routes of jobs, files and links share: taking files in and handing them out."""

from collections.abc import Mapping

from aiohttp import web

from app.core.models import File
from app.usecases import files
from app.usecases.deps import Actor
from app.web.endpoint import Call
from app.web.streaming import Download, send

UPLOAD = "multipart/form-data"


def is_gone(call: Call) -> bool:
    """Tell whether the client went away."""
    transport = call.request.transport
    return transport is None or transport.is_closing()


async def deliver(
    call: Call, file: File, actor: Actor | None, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Send a file's bytes and write it down. Without `actor` the client came by a signed link. Raises NotFound."""
    content = await files.open_content(call.deps, file)
    download = Download(
        file.name, file.content_type, content.size_bytes, content.etag, content.spans
    )

    async def note() -> None:
        await files.note_download(call.deps, file, actor, call.address)

    return await send(call.request, call.deps.store, download, headers=headers, on_start=note)
