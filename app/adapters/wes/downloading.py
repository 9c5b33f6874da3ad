"""Fetching one result: with the credential from the service's own origin, bare from anywhere else, through DRS where needed."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from yarl import URL

from app.adapters import loose
from app.adapters.answers import error_of, raise_for_status
from app.adapters.archives import store
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    Progress,
    RemoteNotFound,
    RemoteOutput,
    ServiceUnavailable,
    Sink,
)
from app.adapters.transport import Download
from app.adapters.wes.client import Client, is_signed
from app.adapters.wes.outputs import Found, flatten


@dataclass(frozen=True, slots=True)
class _Source:
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    insecure: bool = False
    found: Found | None = None


async def fetch(client: Client, output: RemoteOutput, sink: Sink, progress: Progress) -> None:
    """Fetch one output into the sink, as it is. Raises as `base.Adapter.download`."""
    if not output.address:
        raise RemoteNotFound(f"The file is held at the service: {output.held_at or output.name}")
    source = await _source(client, output.address)
    if not await _received(client, source, output, sink, progress, may_renew=True):
        # The token that a password gave has ended, as it may among many files: once more, with a new one.
        await _received(client, source, output, sink, progress, may_renew=False)


async def _received(
    client: Client,
    source: _Source,
    output: RemoteOutput,
    sink: Sink,
    progress: Progress,
    *,
    may_renew: bool,
) -> bool:
    """Receive and check the file. False: the token was refused, and another can be had."""
    headers = {**await client.headers_for(source.url), **source.headers}
    async with client.transport.stream_get(
        source.url, headers=headers, allow_insecure=source.insecure
    ) as download:
        is_bare = (
            download.redirected or is_signed(source.url) or source.url.origin() != client.origin
        )
        if download.answer.status == 401 and may_renew and client.forget(headers):
            return False
        if download.answer.status != 200:
            raise _refusal(client, download, is_bare=is_bare)
        _check_kind(download, output.name)
        found = source.found
        async with aclosing(_counted(download.chunks, progress)) as chunks:
            await store(
                chunks,
                sink,
                output.name,
                md5=output.md5 or (found.md5 if found else None),
                sha1=output.sha1 or (found.sha1 if found else None),
                size_bytes=output.size_bytes
                if output.size_bytes is not None
                else (found.size_bytes if found else None),
            )
    return True


async def _source(client: Client, address: str) -> _Source:
    """Give where to fetch from. Raises `RemoteNotFound` for an address that cannot be one."""
    try:
        url = URL(address, encoded=True)
        if url.scheme == "drs":
            return await _resolve(client, url)
        is_fit = url.scheme in {"http", "https"} and bool(url.host) and url.port is not None
    except ValueError:
        is_fit = False
    if not is_fit:
        raise RemoteNotFound("The service names an address that makes no sense.")
    return _Source(url, insecure=client.allow_insecure)


async def _resolve(client: Client, drs: URL) -> _Source:
    """Ask a DRS server for the address behind `drs://host[:port]/id` (GA4GH DRS 1.1 and later)."""
    insecure = client.config.outputs.drs_insecure
    scheme = "http" if insecure else "https"
    object_id = drs.raw_path.strip("/")
    if not drs.raw_host or not object_id or "/" in object_id:
        raise RemoteNotFound("The service names a DRS address that makes no sense.")
    port = f":{drs.explicit_port}" if drs.explicit_port else ""
    host = f"[{drs.raw_host}]" if ":" in drs.raw_host else drs.raw_host
    base = URL(f"{scheme}://{host}{port}/ga4gh/drs/v1/objects/{object_id}", encoded=True)
    said = await _ask(client, base)
    found = Found(
        "",
        "",
        loose.as_int(said.get("size")),
        *_checksums(said),
    )
    methods = sorted(
        loose.dicts(said.get("access_methods"), 50),
        key=lambda item: (
            ("https", "http").index(str(item.get("type")))
            if item.get("type") in {"https", "http"}
            else 2
        ),
    )
    for method in methods:
        access = _access(method.get("access_url"))
        access_id = loose.as_text(method.get("access_id"))
        if access is None and access_id is not None:
            access = _access(await _ask(client, URL(f"{base}/access/", encoded=True) / access_id))
        if access is not None:
            url, headers = access
            return _Source(url, headers, insecure or client.allow_insecure, found)
    raise RemoteNotFound(f"{drs.host} gives no http address for the file.")


def _checksums(said: Mapping[str, object]) -> tuple[str | None, str | None]:
    items = flatten([{"location": "drs://x/y", "checksums": said.get("checksums")}])
    return (items[0].md5, items[0].sha1) if items else (None, None)


async def _ask(client: Client, url: URL) -> dict[str, object]:
    insecure = client.config.outputs.drs_insecure or client.allow_insecure
    answer = await client.transport.request_json(
        "GET", url, headers=await client.headers_for(url), allow_insecure=insecure
    )
    try:
        raise_for_status(answer, client.secrets)
    except CredentialRejected as error:
        # Another server's refusal says nothing about our credential there.
        raise ServiceUnavailable(error.reason) from error
    return answer.object()


def _access(value: object) -> tuple[URL, dict[str, str]] | None:
    """Read an AccessURL: an address, and headers to send along."""
    said = loose.as_dict(value)
    text = value if isinstance(value, str) else loose.as_text(said.get("url"))
    if not text:
        return None
    try:
        url = URL(text, encoded=True)
    except ValueError:
        return None
    if url.scheme not in {"http", "https"} or not url.host:
        return None
    headers: dict[str, str] = {}
    for line in loose.as_list(said.get("headers"))[:10]:
        name, mark, content = str(line).partition(":")
        if mark and name.strip().lower() == "authorization" and content.strip().isascii():
            headers["Authorization"] = "".join(c for c in content.strip() if c.isprintable())
    return url, headers


def _check_kind(download: Download, name: str) -> None:
    """Refuse a web page in a data file's place: a proxy asks to sign in with a 200. Other types are not to be trusted."""
    kind = download.answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html" and not name.lower().endswith((".html", ".htm")):
        raise ServiceUnavailable(
            f"{download.answer.host} answered with a web page where a file was expected."
        )


def _refusal(client: Client, download: Download, *, is_bare: bool) -> AdapterError:
    answer = download.answer
    if answer.status in {404, 410}:
        return RemoteNotFound(f"{answer.host} no longer has the file.")
    if is_bare:
        # An object store: its words are XML for programmers, and its links end after a while.
        return ServiceUnavailable(
            f"{answer.host} did not hand out the file ({answer.status}); its link may have expired."
        )
    return error_of(answer, client.secrets)


async def _counted(chunks: AsyncIterator[bytes], progress: Progress) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        progress(received)
        yield chunk
