"""``GET /runs/{id}/outputs/{name}``: a result as it is, with length, ETag and ranges."""

import asyncio
from pathlib import Path

from aiohttp import web

from app.sandbox.cloudgene.submission import drop_connection
from app.sandbox.keys import BOX, JOBS, STATS
from app.sandbox.wes import auth
from app.sandbox.wes.errors import WesError
from app.sandbox.wes.views import output_names

_CHUNK = 256 * 1024


async def get_output(request: web.Request) -> web.StreamResponse:
    """Send one result; the switches for slow and cut transfers spoil it."""
    job = await auth.own_run(request)
    name = request.match_info["name"]
    if name not in output_names(job):
        raise WesError(404, f"The run has no output {name[:100]}.")
    box, book = request.app[BOX], request.app[JOBS].book
    path = book.folders(job).output / name
    request.app[STATS].downloads[f"{job.id}/{name}"] += 1
    cut = box.strikes("truncate_download")
    speed = box.faults.download_bytes_per_s
    if not cut and not speed:
        headers = {"Content-Type": "application/octet-stream"}
        return web.FileResponse(path, chunk_size=_CHUNK, headers=headers)
    return await _spoilt(request, path, cut=cut, bytes_per_s=speed)


async def _spoilt(
    request: web.Request, path: Path, *, cut: bool, bytes_per_s: int
) -> web.StreamResponse:
    """Send slowly, or half of it; ranges are not looked at."""
    data = await asyncio.to_thread(path.read_bytes)
    response = web.StreamResponse()
    response.content_length = len(data)
    response.content_type = "application/octet-stream"
    await response.prepare(request)
    sent = data[: len(data) // 2] if cut else data
    for start in range(0, len(sent), _CHUNK):
        piece = sent[start : start + _CHUNK]
        await response.write(piece)
        if bytes_per_s:
            await asyncio.sleep(len(piece) / bytes_per_s)
    if cut:
        return drop_connection(request)
    await response.write_eof()
    return response
