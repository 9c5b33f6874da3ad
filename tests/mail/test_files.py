"""E-mails as files, where there is no mail server."""

from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.mail import FileMailer, Mail, MailError
from app.mail.mime import parse_sender
from tests.support.notices import NOW

SENDER = parse_sender("no-reply@platform.example")
MAIL = Mail(42, "alice@example.org", "Results ready", "secret-link-in-text\n", "<p>x</p>", NOW)


async def test_send_when_repeated_then_there_is_one_file_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    mailer = FileMailer(tmp_path / "outbox", SENDER)
    await mailer.send(MAIL)
    first = (tmp_path / "outbox" / "00000042.eml").read_bytes()
    await mailer.send(MAIL)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["00000042.eml"]
    assert (tmp_path / "outbox" / "00000042.eml").read_bytes() == first
    assert message_from_bytes(first, policy=policy.default)["Subject"] == "Results ready"


async def test_send_when_written_then_only_this_account_can_read_and_the_log_has_no_body(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "outbox"
    with capture_logs() as lines:
        await FileMailer(folder, SENDER).send(MAIL)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "00000042.eml").stat().st_mode & 0o777 == 0o600
    assert lines[0]["subject"] == "Results ready"
    assert lines[0]["recipient"] == "alice@example.org"
    assert "secret-link" not in str(lines)


async def test_send_when_folder_cannot_be_made_then_it_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(MailError) as caught:
        await FileMailer(tmp_path / "outbox", SENDER).send(replace(MAIL, id=1))
    assert not caught.value.permanent
