"""The bytes of an e-mail: no header but ours, and the same bytes for the same row."""

import email
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mail import Mail, MailError
from app.mail.mime import parse_sender, to_mime
from tests.support.notices import NOW

SENDER = Address(display_name="Platform", addr_spec="no-reply@platform.example")
MAIL = Mail(7, "alice@example.org", "Results ready", "Hello\n", "<p>Hello</p>", NOW)


def parsed(mail: Mail) -> EmailMessage:
    raw = to_mime(mail, SENDER).as_bytes(policy=policy.SMTP)
    return email.message_from_bytes(raw, _class=EmailMessage, policy=policy.default)


def test_mime_when_built_then_it_has_both_parts_and_the_headers_of_an_automatic_mail() -> None:
    message = parsed(MAIL)
    assert message["From"] == "Platform <no-reply@platform.example>"
    assert message["To"] == "alice@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == NOW
    assert message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]


def test_mime_when_built_twice_then_the_bytes_are_the_same_and_other_rows_differ() -> None:
    first, again = (to_mime(MAIL, SENDER).as_bytes() for _ in range(2))
    assert first == again
    ids = {
        to_mime(mail, SENDER)["Message-ID"]
        for mail in (MAIL, replace(MAIL, id=8), replace(MAIL, created_at=NOW + timedelta(days=1)))
    }
    assert len(ids) == 3
    assert all(text.endswith("@platform.example>") for text in ids)


@given(subject=st.text(max_size=300))
def test_mime_when_subject_is_anything_then_no_header_is_added(subject: str) -> None:
    message = parsed(replace(MAIL, subject=f"{subject}\r\nBcc: victim@example.org\r\n\r\n<b>"))
    assert "Bcc" not in message
    assert message["To"] == "alice@example.org"
    assert len(message.keys()) == 8
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "alice",
        "a@example.org, b@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "Alice <a@example.org>",
        "a@example.org\n",
        "@",
    ],
)
def test_mime_when_recipient_is_not_one_address_then_it_is_refused_for_good(recipient: str) -> None:
    with pytest.raises(MailError) as caught:
        to_mime(replace(MAIL, recipient=recipient), SENDER)
    assert caught.value.permanent


def test_mime_when_link_is_long_then_it_stands_unbroken_in_the_file() -> None:
    link = "http://platform.example/files/download/" + "A" * 300 + "/results%20of%20%C3%A9.zip"
    raw = to_mime(replace(MAIL, text=f"Grüße\n{link}\n"), SENDER).as_bytes(policy=policy.SMTP)
    assert link.encode() in raw


def test_parse_sender_when_given_name_and_address_then_both_are_read() -> None:
    assert str(parse_sender('"A, B" <x@y.org>')) == '"A, B" <x@y.org>'
    assert parse_sender("x@y.org").display_name == ""
    for wrong in ("nobody", "", "@", "a@", "A B <@x.org>"):
        with pytest.raises(ValueError, match="address"):
            parse_sender(wrong)
