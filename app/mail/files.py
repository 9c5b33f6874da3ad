"""Without a mail server: each e-mail becomes a file, and a line in the log with its subject and recipient."""

import asyncio
import os
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import structlog

from app.mail.base import Mail, MailError
from app.mail.mime import to_mime

log = structlog.get_logger(__name__)


class FileMailer:
    """Writes `<row of the outbox>.eml` under a directory that only this account can read: the files hold links.

    A repeat writes the same file again, so each e-mail is there exactly once.
    """

    def __init__(self, directory: Path, sender: Address) -> None:
        self._directory = directory
        self._sender = sender

    async def send(self, message: Mail) -> None:
        """Write one. Raises MailError."""
        mime = to_mime(message, self._sender)
        path = self._directory / f"{message.id:08d}.eml"
        try:
            await asyncio.to_thread(_write, path, mime)
        except OSError as error:
            raise MailError(
                f"{path.name} cannot be written: {error.strerror}", permanent=False
            ) from error
        log.info(
            "mail.written", subject=message.subject, recipient=message.recipient, file=path.name
        )


def _write(path: Path, mime: EmailMessage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(mime.as_bytes(policy=SMTP))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
