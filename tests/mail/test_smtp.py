"""Handing e-mails to a real SMTP server that behaves, refuses, hangs, or goes away."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.mail import Mail, MailError, SmtpMailer, build_mailer
from app.mail.files import FileMailer
from app.mail.mime import parse_sender
from app.mail.smtp import parse_smtp_url
from app.settings import Settings, SettingsError
from tests.mail.sink import Sink, cut, smtp_sink
from tests.support.notices import NOW

SENDER = parse_sender("Platform <no-reply@platform.example>")
MAIL = Mail(7, "alice@example.org", "Résultats", "Grüße\n.\nline\n", "<p>Grüße</p>", NOW)


def mailer(
    sink: Sink, *, scheme: str = "smtp", user: str = "", query: str = "", timeout_s: float = 5.0
) -> SmtpMailer:
    url = f"{scheme}://{user}127.0.0.1:{sink.port}{query}"
    return SmtpMailer(parse_smtp_url(url), SENDER, timeout_s=timeout_s)


async def failure(work: Any) -> MailError:
    with pytest.raises(MailError) as caught:
        await work
    return caught.value


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_send_when_server_takes_it_then_both_parts_arrive_whole() -> None:
    async with smtp_sink(Sink()) as sink:
        await mailer(sink).send(MAIL)
    message, envelope = sink.messages[0], sink.envelopes[0]
    assert envelope.mail_from == "no-reply@platform.example"
    assert envelope.rcpt_tos == ["alice@example.org"]
    assert message["Subject"] == "Résultats"
    text, html = message.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == "Grüße\n.\nline\n"
    assert "<p>Grüße</p>" in html.get_content()


@pytest.mark.parametrize(
    ("stage", "answer", "permanent"),
    [
        ("rcpt_answer", "550 no such mailbox", True),
        ("rcpt_answer", "450 greylisted, try later", False),
        ("rcpt_answer", "421 closing", False),
        ("data_answer", "554 spam", True),
        ("data_answer", "451 later", False),
        ("mail_answer", "553 sender not allowed", False),
        ("mail_answer", "452 no room", False),
    ],
)
async def test_send_when_server_refuses_then_only_five_hundreds_of_recipient_and_content_are_for_good(
    stage: str, answer: str, permanent: bool
) -> None:
    async with smtp_sink(Sink()) as sink:
        setattr(sink, stage, answer)
        error = await failure(mailer(sink).send(MAIL))
    assert error.permanent is permanent
    assert answer[:3] in error.reason
    assert sink.messages == []


async def test_send_when_nobody_listens_then_it_may_be_tried_again() -> None:
    sink = Sink()
    async with smtp_sink(sink):
        pass
    assert not (await failure(mailer(sink).send(MAIL))).permanent


async def test_send_when_server_accepts_and_never_greets_then_it_ends_in_time() -> None:
    release = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    sink = Sink()
    sink.port = server.sockets[0].getsockname()[1]
    try:
        error = await failure(mailer(sink, timeout_s=0.2).send(MAIL))
    finally:
        release.set()
        server.close()
        await server.wait_closed()
    assert not error.permanent
    assert "in time" in error.reason


@pytest.mark.parametrize("fault", ["drop_after_data", "hang_after_data"])
async def test_send_when_answer_to_content_is_lost_then_the_repeat_has_the_same_message_id(
    fault: str,
) -> None:
    async with smtp_sink(Sink()) as sink:
        setattr(sink, fault, True)
        error = await failure(mailer(sink, timeout_s=0.5).send(MAIL))
        assert not error.permanent
        setattr(sink, fault, False)
        await mailer(sink).send(MAIL)
    first, second = sink.messages
    assert first["Message-ID"] == second["Message-ID"]


async def test_send_when_server_drops_instead_of_goodbye_then_it_was_sent() -> None:
    class Rude(Sink):
        async def handle_QUIT(  # noqa: N802 - aiosmtpd calls hooks by these names
            self, server: SMTP, session: Any, envelope: Any
        ) -> str:
            cut(server)
            return "221 never arrives"

    async with smtp_sink(Rude()) as sink:
        await mailer(sink).send(MAIL)
    assert len(sink.messages) == 1


async def test_send_when_recipient_is_broken_then_no_connection_is_made() -> None:
    async with smtp_sink(Sink()) as sink:
        mail = Mail(1, "a@example.org\r\nRCPT TO:<b@example.org>", "s", "t", "h", NOW)
        assert (await failure(mailer(sink).send(mail))).permanent
    assert sink.connections == 0


async def test_starttls_when_offered_then_used_and_certificate_checked(
    certificate: ssl.SSLContext,
) -> None:
    async with smtp_sink(Sink(), tls_context=certificate) as sink:
        assert not (await failure(mailer(sink).send(MAIL))).permanent
        assert sink.messages == []
        await mailer(sink, query="?verify=no").send(MAIL)
        await mailer(sink, query="?starttls=never").send(MAIL)
    assert len(sink.messages) == 2


async def test_starttls_when_required_and_not_offered_then_nothing_is_sent_and_no_password_told() -> (
    None
):
    async with smtp_sink(Sink(), auth_require_tls=False, authenticator=None) as sink:
        await failure(mailer(sink, query="?starttls=always").send(MAIL))
        await failure(mailer(sink, user="bob:right@").send(MAIL))
    assert sink.messages == []
    assert sink.logins == []


async def test_login_when_password_is_right_then_sent_else_may_be_mended(
    certificate: ssl.SSLContext,
) -> None:
    sink = Sink()
    async with smtp_sink(
        sink, tls_context=certificate, authenticator=sink.authenticate, auth_required=True
    ):
        await mailer(sink, user="b%40b:right@", query="?verify=no").send(MAIL)
        error = await failure(mailer(sink, user="bob:wrong@", query="?verify=no").send(MAIL))
    assert sink.logins[0] == (b"b@b", b"right")
    assert len(sink.messages) == 1
    assert not error.permanent
    assert "535" in error.reason
    assert "wrong" not in error.reason


async def test_smtps_when_asked_then_tls_from_the_first_byte(certificate: ssl.SSLContext) -> None:
    async with smtp_sink(Sink(), tls=certificate) as sink:
        await mailer(sink, scheme="smtps", query="?verify=no").send(MAIL)
    assert len(sink.messages) == 1


@pytest.mark.parametrize(
    ("url", "host", "port", "use_tls", "start_tls"),
    [
        ("smtp://mail.example", "mail.example", 25, False, None),
        ("smtp://u:p@mail.example", "mail.example", 587, False, True),
        ("smtp://u:p@mail.example:2525?starttls=auto", "mail.example", 2525, False, None),
        ("smtp://mail.example?starttls=never", "mail.example", 25, False, False),
        ("smtps://u:p@mail.example", "mail.example", 465, True, False),
    ],
)
def test_parse_when_url_is_good_then_port_and_tls_follow(
    url: str, host: str, port: int, use_tls: bool, start_tls: bool | None
) -> None:
    server = parse_smtp_url(url)
    assert (server.host, server.port, server.use_tls, server.start_tls) == (
        host,
        port,
        use_tls,
        start_tls,
    )
    assert server.verify


@pytest.mark.parametrize(
    "url",
    [
        "http://u:s3cr3t@x",
        "smtp://",
        "smtp://u:s3cr3t@x?starttls=maybe",
        "smtp://u:s3cr3t@x?x=1",
        "smtp://u:s3cr3t@x:99999",
        "s3cr3t",
    ],
)
def test_build_when_url_cannot_be_used_then_refused_without_the_password(
    settings: Settings, url: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        build_mailer(replace(settings, smtp_url=url))
    assert "FIP_SMTP_URL" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_build_when_settings_differ_then_so_does_the_mailer(settings: Settings) -> None:
    assert isinstance(build_mailer(settings), FileMailer)
    assert isinstance(build_mailer(replace(settings, smtp_url="smtp://x")), SmtpMailer)
    with pytest.raises(SettingsError, match="FIP_MAIL_FROM"):
        build_mailer(replace(settings, mail_from="nobody"))
    assert "s3cr3t" not in repr(parse_smtp_url("smtp://u:s3cr3t@x"))
