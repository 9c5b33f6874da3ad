"""Downloads, which ask for no token: the hash is the secret, and each try costs one of ten.

cloudgene3 ``DownloadController`` and ``DownloadService``: chunked, without length, ranges or ETag. Sites that
keep results in object storage answer 301 to a presigned link instead (``S3Workspace``).
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from app.sandbox.cloudgene.auth import HEADER
from app.sandbox.cloudgene.errors import ApiError, framework_error
from app.sandbox.cloudgene.submission import drop_connection
from app.sandbox.jobs.model import Job, ResultFile, State
from app.sandbox.keys import BOX, CONFIG, JOBS, STATS

_CHUNK = 256 * 1024
_LINK_LIFETIME_S = 3600
_LINK_SECRET = secrets.token_bytes(32)  # links end with the process, as they end with the hour


async def share(request: web.Request) -> web.StreamResponse:
    """``GET /share/results/{hash}/{name}``, the documented way."""
    found = request.app[JOBS].book.find_download(request.match_info["hash"])
    return await _send(request, found, missing=(404, "File not found in workspace."))


async def download(request: web.Request) -> web.StreamResponse:
    """``GET /downloads/{jobId}/{hash}/{name}``: the same file."""
    book, job_id = request.app[JOBS].book, request.match_info["job"]
    if book.find(job_id) is None:
        raise ApiError(404, f"Job {job_id} not found.")
    return await _send(request, book.find_download(request.match_info["hash"]), missing=None)


async def browse(request: web.Request) -> web.StreamResponse:
    """``GET /browse/{hash of the output}/{name}``."""
    job = _output(request)
    result = job.find_result(name=request.match_info["name"])
    return await _send(request, (job, result) if result else None, missing=None)


async def script(request: web.Request) -> web.Response:
    """``GET /get/{hash of the output}``: a shell script with one curl per file, for people."""
    job = _output(request)
    base = base_url(request)
    lines = ["#!/bin/bash", "set -e"]
    for i, result in enumerate(job.results, 1):
        link = f"{base}/share/results/{result.hash}/{result.name}"
        lines.append(f'echo "Downloading file {result.name} ({i}/{len(job.results)})..."')
        lines.append(f"curl -L {link} -o {result.name} --create-dirs ")
    lines.append(f'echo "All {len(job.results)} file(s) downloaded."')
    return web.Response(text="\n".join(lines) + "\n")


async def bare_object(request: web.Request) -> web.StreamResponse:
    """``GET /s3/{job}/{expires}/{signature}/{name}``: a presigned link, with length, ETag and ranges."""
    if HEADER in request.headers:
        request.app[STATS].leaked_tokens += 1
    job_id, expires, name = (request.match_info[k] for k in ("job", "expires", "name"))
    genuine = hmac.compare_digest(_sign(job_id, expires, name), request.match_info["signature"])
    job = request.app[JOBS].book.find(job_id)
    result = job.find_result(name=name) if job is not None else None
    if not genuine or int(expires) < time.time() or job is None or result is None:
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
    request.app[STATS].downloads[f"s3:{job.id}/{name}"] += 1
    return web.FileResponse(request.app[JOBS].book.result_path(job, result))


def base_url(request: web.Request) -> str:
    """The server's own address, for links."""
    return request.app[CONFIG].public_url.rstrip("/") or f"{request.scheme}://{request.host}"


def _output(request: web.Request) -> Job:
    output_hash = request.match_info["hash"]
    job = request.app[JOBS].book.find_output(output_hash)
    if job is None:
        raise ApiError(404, f"Param for hash {output_hash} not found.")
    return job


async def _send(
    request: web.Request, found: tuple[Job, ResultFile] | None, missing: tuple[int, str] | None
) -> web.StreamResponse:
    """Count, then send. ``missing`` is what a retired file answers; None = an error of the framework."""
    if found is None:
        raise ApiError(404, "download not found.")
    job, result = found
    if not await request.app[JOBS].take_download(job, result):
        raise ApiError(400, "number of max downloads exceeded.")
    request.app[STATS].downloads[f"{job.id}/{result.name}"] += 1
    redirect_to = request.app[BOX].faults.redirect_downloads_to
    if not redirect_to and request.app[CONFIG].topmed:
        redirect_to = "self"
    if redirect_to:
        return _redirect(request, redirect_to, job, result)
    path = request.app[JOBS].book.result_path(job, result)
    if job.state == State.RETIRED or not await asyncio.to_thread(path.is_file):
        if missing is None:
            return framework_error(request, 500, f"Internal Server Error: {result.name}")
        raise ApiError(*missing)
    if request.app[CONFIG].dialect == "cloudgene2" and not request.app[BOX].faults.cuts_downloads:
        return web.FileResponse(path)  # Restlet: with length and ranges, each of which is counted
    return await stream(request, path, result.size)


async def stream(request: web.Request, path: Path, size: int) -> web.StreamResponse:
    """Send a file as Micronaut does: chunked, without a length."""
    box = request.app[BOX]
    cut = size // 2 if box.strikes("truncate_download") else None
    # Micronaut's default type stands here even for archives.
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    sent = 0
    file = path.open("rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            if cut is not None and sent + len(chunk) > cut:
                await response.write(chunk[: cut - sent])
                return drop_connection(request)
            await response.write(chunk)
            sent += len(chunk)
            if box.faults.download_bytes_per_s:
                await asyncio.sleep(len(chunk) / box.faults.download_bytes_per_s)
    finally:
        await asyncio.to_thread(file.close)
    await response.write_eof()
    return response


def _redirect(request: web.Request, to: str, job: Job, result: ResultFile) -> web.Response:
    if to == "self":
        _, _, port = request.host.rpartition(":")
        to = f"{request.scheme}://localhost:{port}"
    expires = str(int(time.time()) + _LINK_LIFETIME_S)
    signature = _sign(job.id, expires, result.name)
    link = f"{to.rstrip('/')}/s3/{job.id}/{expires}/{signature}/{quote(result.name)}"
    status = 307 if request.app[CONFIG].dialect == "cloudgene2" else 301
    return web.Response(status=status, headers={"Location": link})


def _sign(job_id: str, expires: str, name: str) -> str:
    text = f"{job_id}\n{expires}\n{name}".encode()
    return hmac.new(_LINK_SECRET, text, hashlib.sha256).hexdigest()
