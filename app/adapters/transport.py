"""All outgoing HTTP of the adapters: one place that knows about addresses, time, size, and redirects.

Rules that hold for every request:

- only http and https, no user names in URLs, plain http only where the service allows it;
- every connection passes the address guard (`app.adapters.guard`), proxies and cookies are not used;
- calls never follow a redirect: the token would travel along. Downloads follow up to three, and carry a credential, if any,
  only as long as they stay at the origin that they began at;
- every wait has an end, and every answer a largest size;
- reasons name hosts only, as paths hold ids and result links are secret.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from yarl import URL

from app.adapters.answers import REDIRECTS, Answer
from app.adapters.base import ServiceUnavailable, UntrustedAddress
from app.adapters.failures import TROUBLE, NotSent, explained, next_hop, refused, unrepeated
from app.adapters.guard import AddressPolicy, GuardedResolver, Lookup, Network
from app.adapters.payload import MultipartUpload

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
MAX_REDIRECTS = 3
KEPT_S = 1.0
"""For how many idle seconds a connection is used again: within a burst of calls, and not after that.

Servers close idle ones after two seconds or more (gunicorn). One that forks meanwhile, as Toil does for each run, closes them
without the client seeing it, and a call on such a connection would get no answer until it times out.
"""
_DOWNLOAD_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, but for `upload_least_bytes_s`.

    A call ends after `call_s` in all. An upload ends when the service takes no byte for `upload_stall_s`, or gives no
    answer for `upload_answer_s` after the last byte (it stores and checks the files meanwhile), or when the whole is
    slower than `upload_least_bytes_s`. A download has no end as long as bytes come at least every `download_read_s`.
    """

    connect_s: float = 30.0
    call_s: float = 60.0
    upload_stall_s: float = 120.0
    upload_answer_s: float = 600.0
    upload_least_bytes_s: int = 64 * 1024
    download_read_s: float = 120.0


@dataclass(slots=True)
class Download:
    """A download that has begun. `chunks` can be read once."""

    answer: Answer
    """Status and headers; its body is filled for statuses other than 200 only."""
    chunks: AsyncIterator[bytes] = field(repr=False)
    redirected: bool = False


def user_agent(version: str, public_url: str) -> str:
    """Give the `User-Agent` by which operators of services know whom to ask; printable ASCII, at most 250 characters."""
    text = f"federated-imputation-platform/{version} (+{public_url})"
    return "".join(c for c in text if " " <= c <= "~")[:250]


class Transport:
    """The connections of all adapters. Make it inside the running event loop and close it."""

    def __init__(
        self,
        *,
        user_agent: str,
        allowed_networks: Iterable[str | Network] = (),
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        """Prepare sessions; nothing is connected yet. `ssl_context` is for sites with an authority of their own."""
        self.timeouts = timeouts or Timeouts()
        self.user_agent = user_agent
        self._policy = AddressPolicy(allowed_networks)
        self._resolver = GuardedResolver(self._policy, lookup)
        self._ssl: ssl.SSLContext | bool = ssl_context if ssl_context is not None else True
        self._calls = self._session(kept=True)
        # What must not happen twice: uploads (a job each), downloads (they are counted), calls that change something.
        # A kept connection that the server closes just then would leave open whether it happened, and aiohttp by
        # itself repeats a GET whose connection breaks.
        self._once = self._session(kept=False, middlewares=(unrepeated,))

    def _session(
        self, *, kept: bool, middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = ()
    ) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._policy.make_socket,
            ssl=self._ssl,
            limit=0,  # how many calls there may be is the caller's to say; one stuck service must not hold up another
            force_close=not kept,
            keepalive_timeout=KEPT_S if kept else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            middlewares=middlewares,
            headers={"User-Agent": self.user_agent, "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()
        await self._once.close()
        await self._resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request_json(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        allow_insecure: bool = False,
        once: bool = False,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """Make one call and read its whole answer, whatever its status; a redirect is an answer too.

        `once` is for a GET that changes something: it is never repeated, and not sent on a kept connection.

        Raises:
            NotSent: no connection came about.
            ServiceUnavailable: no answer, a cut one, one that is too late or too large.
            UntrustedAddress: the guard refused.
        """
        host = self._check(url, allow_insecure=allow_insecure)
        wait = aiohttp.ClientTimeout(total=None, sock_connect=self.timeouts.connect_s)
        session = self._once if once else self._calls
        try:
            async with (
                asyncio.timeout(self.timeouts.call_s),
                session.request(
                    method,
                    url,
                    headers={"Accept": "application/json", **(headers or {})},
                    data=form,
                    # A POST without a body is not an octet stream: Toil and wes-service answer that with 415.
                    skip_auto_headers=() if form is not None else ("Content-Type",),
                    allow_redirects=False,
                    timeout=wait,
                ) as response,
            ):
                return await _whole(response, host, limit_bytes)
        except TROUBLE as error:
            raise explained(error, host) from error

    async def upload(
        self,
        url: URL,
        body: MultipartUpload,
        *,
        headers: Mapping[str, str] | None = None,
        allow_insecure: bool = False,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """Send a form with files by POST and read the whole answer, whatever its status.

        Raises as `request_json`; `NotSent` means that surely no byte of the body left this machine.
        """
        host = self._check(url, allow_insecure=allow_insecure)
        limits = self.timeouts
        wait = aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_s, sock_read=limits.upload_answer_s
        )
        size = body.size or 0
        whole_s = (
            limits.connect_s
            + limits.upload_stall_s
            + size / limits.upload_least_bytes_s
            + limits.upload_answer_s
        )
        try:
            async with (
                asyncio.timeout(whole_s),
                self._once.post(
                    url,
                    headers={"Accept": "application/json", **(headers or {})},
                    data=body,
                    allow_redirects=False,
                    timeout=wait,
                ) as response,
            ):
                return await _whole(response, host, limit_bytes)
        except TROUBLE as error:
            reason = explained(error, host)
            if isinstance(reason, UntrustedAddress):
                raise reason from error
            kind = ServiceUnavailable if body.begun else NotSent
            raise kind(reason.reason) from error

    @contextlib.asynccontextmanager
    async def stream_get(
        self,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        allow_insecure: bool = False,
    ) -> AsyncIterator[Download]:
        """Begin a download; give it with its bytes still to come. `headers` go to the origin of `url` alone.

        Follows up to three redirects, each hop through the guard and never from https to http. The status is 200, or
        another one with the answer's body read. Raises as `request_json`; reading `chunks` raises
        `ServiceUnavailable` where the body is cut or stalls.
        """
        current, sent = url, dict(headers or {})
        for hop in range(MAX_REDIRECTS + 1):
            host = self._check(current, allow_insecure=allow_insecure)
            if current.scheme == "http" and url.scheme == "https":
                raise UntrustedAddress(f"{url.host} redirects a download to plain http.")
            async with contextlib.AsyncExitStack() as stack:
                response = await self._begin(stack, current, host, sent)
                if response.status not in REDIRECTS:
                    if response.status == 200:
                        answer = Answer(200, host, response.headers, b"")
                    else:
                        answer = await self._rest(response, host)
                    async with contextlib.aclosing(_chunks(response, host)) as chunks:
                        yield Download(answer, chunks, redirected=hop > 0)
                    return
                current = next_hop(current, response.headers.get("Location", ""), host)
                if current.scheme not in {"http", "https"} or current.origin() != url.origin():
                    sent = {}
        raise ServiceUnavailable(f"{url.host} redirects a download too often.")

    async def _begin(
        self, stack: contextlib.AsyncExitStack, url: URL, host: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        wait = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self.timeouts.connect_s,
            sock_read=self.timeouts.download_read_s,
        )
        try:
            async with asyncio.timeout(self.timeouts.connect_s + self.timeouts.download_read_s):
                return await stack.enter_async_context(
                    self._once.get(
                        url,
                        headers={"Accept": "*/*", **headers},
                        allow_redirects=False,
                        timeout=wait,
                        read_bufsize=_DOWNLOAD_BUFFER_BYTES,
                    )
                )
        except TROUBLE as error:
            raise explained(error, host) from error

    async def _rest(self, response: aiohttp.ClientResponse, host: str) -> Answer:
        try:
            async with asyncio.timeout(self.timeouts.call_s):
                return await _whole(response, host, ANSWER_LIMIT_BYTES)
        except TROUBLE as error:
            raise explained(error, host) from error

    def _check(self, url: URL, *, allow_insecure: bool) -> str:
        """Judge a URL before anything is connected; give its host. Raises `UntrustedAddress`."""
        host = url.raw_host
        if url.scheme not in {"http", "https"} or not host:
            raise UntrustedAddress("Only http and https addresses are allowed.")
        if url.raw_user is not None or url.raw_password is not None:
            raise UntrustedAddress(f"An address with a user name in it is refused ({host}).")
        if url.scheme == "http" and not allow_insecure:
            raise UntrustedAddress(
                f"{host} is addressed by plain http: credentials and genotypes go over https only."
            )
        if not self._policy.permits_host(host):
            raise UntrustedAddress(refused(host))
        return host


async def _whole(response: aiohttp.ClientResponse, host: str, limit_bytes: int) -> Answer:
    """Read the body up to the limit."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > limit_bytes:
            raise ServiceUnavailable(f"{host} gave an answer that is too large.")
        pieces.append(piece)
    return Answer(response.status, host, response.headers, b"".join(pieces))


async def _chunks(response: aiohttp.ClientResponse, host: str) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except TROUBLE as error:
        raise explained(error, host) from error
