"""Which mailer the settings ask for."""

from app.mail.base import Mailer
from app.mail.files import FileMailer
from app.mail.mime import parse_sender
from app.mail.smtp import SmtpMailer, parse_smtp_url
from app.settings import Settings, SettingsError


def build_mailer(settings: Settings) -> Mailer:
    """Give SMTP where FIP_SMTP_URL is set, else files under `FIP_DATA_DIR/outbox`. Raises SettingsError."""
    try:
        sender = parse_sender(settings.mail_from)
    except ValueError:
        raise SettingsError("FIP_MAIL_FROM is not an e-mail address") from None
    if not settings.smtp_url:
        return FileMailer(settings.data_dir / "outbox", sender)
    try:
        return SmtpMailer(parse_smtp_url(settings.smtp_url), sender)
    except ValueError as error:
        raise SettingsError(f"FIP_SMTP_URL cannot be used: {error}") from None
