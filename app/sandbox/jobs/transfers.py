"""What a run fetches before its engine starts, and what it pushes afterwards.

Errors name files, never links: a link's path is its secret.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

import aiohttp
from yarl import URL

from app.sandbox.config import SandboxConfig

_CHUNK = 1024 * 1024
_NO_HEAD = frozenset({405, 501})


class TransferFailed(Exception):
    """An input could not be fetched, or a result not be pushed; the text says which and why."""


async def fetch_all(links: Iterable[str], folder: Path, config: SandboxConfig) -> list[str]:
    """Fetch each link's file into ``folder`` under the last segment of its path; gives the names.

    Raises:
        TransferFailed: no answer, another status than 200, cut short, or larger than ``upload_limit_bytes``.
    """
    names = []
    left = config.upload_limit_bytes
    async with _session(config) as session:
        for link in links:
            name = unquote(URL(link).raw_path.rpartition("/")[2])
            try:
                left -= await _fetch(session, link, folder / name, left)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise TransferFailed(
                    f"Can't stage file {name} -- {type(error).__name__}"
                ) from error
            names.append(name)
    return names


async def push_all(folder: Path, link: str, config: SandboxConfig) -> None:
    """PUT each file at the top of ``folder`` below ``link``, with its SHA-256.

    Raises:
        TransferFailed: no answer, or one that is no success.
    """
    files = await asyncio.to_thread(_files_of, folder)
    async with _session(config) as session:
        for file in files:
            try:
                await _push(session, f"{link.rstrip('/')}/{quote(file.name)}", file)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise TransferFailed(
                    f"Failed to publish file {file.name} -- {type(error).__name__}"
                ) from error


def _session(config: SandboxConfig) -> aiohttp.ClientSession:
    idle = config.link_timeout_s
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=idle, sock_read=idle)
    # Stored gzip files must arrive as they are, and nothing is to be kept between runs.
    headers = {"User-Agent": "Nextflow/sandbox", "Accept-Encoding": "identity"}
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(
        timeout=timeout, headers=headers, cookie_jar=jar, auto_decompress=False
    )


async def _fetch(session: aiohttp.ClientSession, link: str, target: Path, limit_bytes: int) -> int:
    """Ask for the size as Nextflow does, then fetch; gives the number of bytes."""
    url = URL(link, encoded=True)
    async with session.head(url, allow_redirects=False) as answer:
        if answer.status not in {200, *_NO_HEAD}:
            raise TransferFailed(f"Can't stage file {target.name} -- status {answer.status}")
        announced = answer.content_length if answer.status == 200 else None
    if announced is not None and announced > limit_bytes:
        raise TransferFailed(f"Can't stage file {target.name} -- it is too large")
    size = 0
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            raise TransferFailed(f"Can't stage file {target.name} -- status {answer.status}")
        # Opened here and not in a thread: were the run cancelled meanwhile, nobody would close it.
        with target.open("wb") as file:
            async for chunk in answer.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > limit_bytes:
                    raise TransferFailed(f"Can't stage file {target.name} -- it is too large")
                await asyncio.to_thread(file.write, chunk)
    if announced is not None and size != announced:
        raise TransferFailed(f"Can't stage file {target.name} -- its size is not as announced")
    return size


async def _push(session: aiohttp.ClientSession, link: str, file: Path) -> None:
    digest = await asyncio.to_thread(lambda: _sha256(file))
    headers = {"X-Checksum-SHA256": digest, "Content-Type": "application/octet-stream"}
    with file.open("rb") as body:
        async with session.put(
            URL(link, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status not in {200, 201, 204}:
                raise TransferFailed(
                    f"Failed to publish file {file.name} -- status {answer.status}"
                )


def _files_of(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
