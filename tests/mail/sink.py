"""A real SMTP server on 127.0.0.1 that keeps what it was handed and can be told to misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def cut(server: SMTP) -> None:
    """End a connection without a word."""
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


class Sink:
    """What the server got, and how it behaves: an answer for each stage (None: as it should), or a fault."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.connections = 0
        self.logins: list[tuple[bytes, bytes]] = []
        self.rcpt_answer: str | None = None
        self.data_answer: str | None = None
        self.mail_answer: str | None = None
        self.drop_after_data = False
        self.hang_after_data = False
        self.port = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd calls hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt_answer:
            return self.rcpt_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.data_answer:
            return self.data_answer
        content = envelope.content
        assert isinstance(content, bytes)
        self.envelopes.append(envelope)
        self.messages.append(
            message_from_bytes(content, _class=EmailMessage, policy=policy.default)
        )
        if self.drop_after_data:
            cut(server)
        if self.hang_after_data:
            await asyncio.sleep(3600)
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@asynccontextmanager
async def smtp_sink(
    sink: Sink, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Sink]:
    """Serve on a port of the system's choice; `tls` from the first byte, `options` are aiosmtpd's."""
    tasks: set[asyncio.Task[Any]] = set()

    class Counting(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sink.connections += 1
            super().connection_made(transport)
            if self._handler_coroutine is not None:
                tasks.add(self._handler_coroutine)

    make: Callable[[], SMTP] = partial(Counting, sink, hostname="sink.test", **options)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
