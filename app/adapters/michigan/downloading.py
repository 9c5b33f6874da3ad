"""Fetching one result file: once, because the server counts, and without the token, because the link is the secret.

A CG3 server sends files from its disk chunked, without a length and without ranges, so there is no resuming; sites on an
object store answer with a redirect to a signed address (cloudgene3 `DownloadService`, `S3Workspace.createPublicLink`).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing

from app.adapters.answers import Answer, error_of
from app.adapters.archives import store, unpack
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DownloadsExhausted,
    Progress,
    RemoteNotFound,
    RemoteOutput,
    ServiceUnavailable,
    Sink,
)
from app.adapters.michigan.client import Client, is_own_404
from app.adapters.michigan.outputs import SHARED_MD5, md5_of
from app.adapters.transport import Download

_CHECKSUM_LIMIT_BYTES = 64 * 1024


async def fetch(
    client: Client,
    output: RemoteOutput,
    sink: Sink,
    archive_password: str | None,
    progress: Progress,
    checksums: "Checksums",
) -> None:
    """Fetch one output into the sink. Raises as `base.Adapter.download`."""
    md5 = output.md5 or await checksums.of(client, output)
    async with _begin(client, output.address) as download:
        status = download.answer.status
        if status not in {200, 204}:
            raise _refusal(client, download, archive_password)
        if status == 204:  # stands for an empty file (imputationbot `Download`)
            sink.open(output.name).finish()
            return
        async with aclosing(counted(download.chunks, progress)) as chunks:
            if output.archive:
                await unpack(chunks, sink, password=archive_password, md5=md5)
            else:
                await store(chunks, sink, output.name, md5=md5)


def _begin(client: Client, address: str) -> AbstractAsyncContextManager[Download]:
    try:
        url = client.endpoint.at(*address.split("/"))
    except ValueError:
        raise RemoteNotFound("This cannot be a file of the service.") from None
    return client.transport.stream_get(url, allow_insecure=client.endpoint.allow_insecure)


async def counted(chunks: AsyncIterator[bytes], progress: Progress) -> AsyncGenerator[bytes, None]:
    """Give the chunks on, and tell how many bytes there were so far."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        progress(received)
        yield chunk


class Checksums:
    """The checksum files beside results. They are a courtesy: without one the archive's own checksums remain.

    A list for many files is fetched once, as the server counts; that of one file each time, as it belongs to that fetch.
    """

    def __init__(self) -> None:
        self._lists: dict[str, str] = {}

    async def of(self, client: Client, output: RemoteOutput) -> str | None:
        """Give the MD5 that is published for an output, or None."""
        address = output.md5_address
        if address is None:
            return None
        text = self._lists.get(address) or await _text_at(client, address)
        if address.endswith(f"/{SHARED_MD5}"):
            self._lists[address] = text
        return md5_of(text, output.name)


async def _text_at(client: Client, address: str) -> str:
    text = bytearray()
    try:
        async with _begin(client, address) as download:
            if download.answer.status != 200:
                return ""
            async for chunk in download.chunks:
                text += chunk
                if len(text) > _CHECKSUM_LIMIT_BYTES:
                    return ""
    except AdapterError:
        return ""
    return text.decode("utf-8", "replace")


def _refusal(client: Client, download: Download, archive_password: str | None) -> AdapterError:
    """Give the error for a status other than 200 and 204."""
    answer = download.answer
    secrets = (*client.secrets, archive_password or "")
    error = error_of(answer, secrets)
    if download.redirected:
        # An object store: its words are XML for programmers. A signed address that ran out is made anew next time.
        if answer.status in {404, 410}:
            return RemoteNotFound(f"{answer.host} no longer has the file.")
        return ServiceUnavailable(f"{answer.host} did not hand out the file ({answer.status}).")
    if _is_exhausted(answer, secrets):
        return DownloadsExhausted(
            f"{answer.host} does not hand the file out again: its number of downloads is used up."
        )
    if isinstance(error, RemoteNotFound) and not is_own_404(answer):
        return ServiceUnavailable(error.reason)
    if isinstance(error, CredentialRejected):
        return ServiceUnavailable(error.reason)  # no credential was sent, so it cannot be to blame
    return error


def _is_exhausted(answer: Answer, secrets: tuple[str, ...]) -> bool:
    """`number of max downloads exceeded.` (cloudgene3 `DownloadService`)."""
    return answer.status == 400 and "max downloads" in answer.message(secrets).lower()
