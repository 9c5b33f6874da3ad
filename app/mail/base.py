"""What an e-mail is, and what sends one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class MailError(Exception):
    """Raised when an e-mail was not sent, or when that is in doubt.

    `permanent` is the one decision: the same e-mail to the same address will never go. `reason` is for administrators.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail. `id` is its row in the outbox: whatever is made of the same row is made alike, so that a repeat is known."""

    id: int
    recipient: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    created_at: datetime


class Mailer(Protocol):
    """Sends e-mails."""

    async def send(self, message: Mail) -> None:
        """Send one. Raises MailError; returns only when somebody else has taken the responsibility for it."""


class RecordingMailer:
    """Keeps what it was given, for tests; raises `error` instead while there is one."""

    def __init__(self, error: MailError | None = None) -> None:
        self.sent: list[Mail] = []
        self.error = error

    async def send(self, message: Mail) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(message)
