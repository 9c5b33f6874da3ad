"""From a `Mail` to the bytes of RFC 5322: the same bytes for the same row of the outbox."""

import hashlib
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from app.core.names import one_line
from app.mail.base import Mail, MailError

MAX_SUBJECT_CHARS = 200
# RFC 5322 §2.1.1: a line has at most 998 characters. Bodies keep theirs (a link that is not broken can be copied out of an
# .eml file); header lines are folded at 78 when the message is written.
_BODIES = SMTP.clone(max_line_length=998)


def parse_sender(text: str) -> Address:
    """Read `Name <local@domain>`. Raises ValueError."""
    name, spec = parseaddr(text)
    address = _address(spec)
    return Address(one_line(name), address.username, address.domain)


def to_mime(mail: Mail, sender: Address) -> EmailMessage:
    """Build the message: plain text and HTML, with a Message-ID that names the row.

    Raises MailError (permanent) when the recipient is not one e-mail address.
    """
    message = EmailMessage(policy=_BODIES)
    message["From"] = sender
    message["To"] = _recipient(mail.recipient)
    message["Subject"] = one_line(mail.subject)[:MAX_SUBJECT_CHARS]
    message["Date"] = format_datetime(mail.created_at)
    mark = _mark(mail)
    message["Message-ID"] = f"<{mark}@{sender.domain}>"
    # RFC 3834 §5: no vacation notice shall answer this.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message.set_boundary(f"=_{mark}")
    return message


def _recipient(spec: str) -> Address:
    try:
        return _address(spec)
    except ValueError:
        raise MailError("the recipient is not an e-mail address", permanent=True) from None


def _address(spec: str) -> Address:
    """Read one bare address. Raises ValueError."""
    try:
        address = Address(addr_spec=spec)
    except (ValueError, IndexError, HeaderParseError):  # IndexError: the parser, on an empty text
        address = Address()
    if not address.username or not address.domain:
        raise ValueError("not an e-mail address")
    return address


def _mark(mail: Mail) -> str:
    """Name the row for good: its id alone would come again in a database that was made anew."""
    seed = f"{mail.id} {mail.created_at.isoformat()} {mail.recipient}"
    return f"outbox-{mail.id}.{hashlib.sha256(seed.encode()).hexdigest()[:24]}"
