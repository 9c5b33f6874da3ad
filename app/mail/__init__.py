"""E-mail: real, to files, and recording versions of one interface, chosen by settings; and the rendering of the templates."""

from app.mail.base import Mail, Mailer, MailError, RecordingMailer
from app.mail.build import build_mailer
from app.mail.files import FileMailer
from app.mail.render import Rendered, TemplateBroken, render
from app.mail.smtp import SmtpMailer

__all__ = [
    "FileMailer",
    "Mail",
    "MailError",
    "Mailer",
    "RecordingMailer",
    "Rendered",
    "SmtpMailer",
    "TemplateBroken",
    "build_mailer",
    "render",
]
