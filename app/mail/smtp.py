"""Sending by SMTP: one connection an e-mail, everything with a time limit, and answers judged once.

The settings are an address: `smtp://user:password@host:port?starttls=auto|always|never&verify=yes|no` or `smtps://…`.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from app.mail.base import Mail, MailError
from app.mail.mime import to_mime

_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION_PORT = 587  # RFC 6409 §3.1: where clients that sign in hand their mail over
_STARTTLS = {"auto": None, "always": True, "never": False}
_YES_NO = {"yes": True, "no": False}
_QUIT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to hand e-mails over. `start_tls` None means: if the server offers it."""

    host: str
    port: int
    use_tls: bool
    start_tls: bool | None
    verify: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Read FIP_SMTP_URL. With a user name TLS is required unless the address says otherwise: an attacker in between could
    hide STARTTLS and would get the password. Raises ValueError saying what is wrong, without the value.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("it does not begin with smtp:// or smtps://")
    if not parts.hostname:
        raise ValueError("it names no host")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    secure = parts.scheme == "smtps"
    wanted = options.pop("starttls", "always" if username and not secure else "auto")
    verify = options.pop("verify", "yes")
    if options or wanted not in _STARTTLS or verify not in _YES_NO:
        raise ValueError("its options are starttls=auto|always|never and verify=yes|no")
    default = _SUBMISSION_PORT if username and not secure else _PORTS[parts.scheme]
    start_tls = False if secure else _STARTTLS[wanted]
    return SmtpServer(
        parts.hostname,
        parts.port or default,
        secure,
        start_tls,
        _YES_NO[verify],
        username,
        password,
    )


class SmtpMailer:
    """Hands e-mails to a server. `timeout_s` limits the whole exchange of one e-mail."""

    def __init__(self, server: SmtpServer, sender: Address, *, timeout_s: float = 60.0) -> None:
        self._server = server
        self._sender = sender
        self._timeout_s = timeout_s

    async def send(self, message: Mail) -> None:
        """Send one. Raises MailError, permanent when the server refused the recipient or the content for good.

        A server that went silent after the content may have taken it: that counts as not sent, and the repeat has the
        same Message-ID.
        """
        mime = to_mime(message, self._sender)
        client = self._client()
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
                await client.send_message(
                    mime, sender=self._sender.addr_spec, recipients=[message.recipient]
                )
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=_QUIT_TIMEOUT_S)
        except TimeoutError as error:
            raise MailError("the server did not answer in time", permanent=False) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _judge(error, message.recipient) from error
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            timeout=self._timeout_s,
            use_tls=server.use_tls,
            start_tls=server.start_tls,
            tls_context=_context(verify=server.verify),
        )


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _judge(error: Exception, recipient: str) -> MailError:
    """Sort a failure: for good only where the server refused this recipient or this content with 5yz (RFC 5321 §4.2.1).

    A refused sender, sign-in or greeting is a matter of configuration, which an administrator can mend meanwhile.
    """
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused) if refused:
            first = refused[0]
            return MailError(
                f"the recipient was refused: {first.code} {first.message}",
                permanent=all(500 <= item.code < 600 for item in refused),
            )
        case aiosmtplib.SMTPDataError(code=code, message=text):
            return MailError(f"the content was refused: {code} {text}", permanent=500 <= code < 600)
        case ssl.SSLError():  # which is a ValueError too where a certificate is not trusted
            return MailError(f"{type(error).__name__}: {error}", permanent=False)
        case aiosmtplib.SMTPNotSupported():  # of the recipient, only an address beyond ASCII asks for an extension
            return MailError(
                f"the server lacks something: {error}", permanent=not recipient.isascii()
            )
        case ValueError():
            return MailError(f"the e-mail cannot be sent: {error}", permanent=True)
        case aiosmtplib.SMTPResponseException(code=code, message=text):
            return MailError(f"{type(error).__name__}: {code} {text}", permanent=False)
        case _:
            return MailError(f"{type(error).__name__}: {error}", permanent=False)
