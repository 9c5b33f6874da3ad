"""E-mails leave the outbox at least once, are known by their Message-ID when twice, and hinder nothing when they cannot leave."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from structlog.testing import capture_logs

from app.core.notices import NoticeEvent
from app.db.notices import claim_mail
from app.mail import FileMailer, Mail, MailError, RecordingMailer, SmtpMailer
from app.mail.mime import parse_sender, to_mime
from app.mail.smtp import parse_smtp_url
from app.security.vault import Vault
from app.usecases import outbox
from app.usecases.deps import Deps
from app.usecases.notices import announce
from app.usecases.outbox import LEASE_S, deliver_due, is_mail_due, send_mail
from tests.mail.sink import Sink, smtp_sink
from tests.support.deps import Clock
from tests.support.notices import JOB_EVENTS, add_job, add_results, add_service, get_job
from tests.support.people import Person

SENDER = parse_sender("no-reply@platform.example")
RESET = "http://platform.test/api/auth/password-reset/s3cr3t-token"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with smtp_sink(Sink()) as running:
        yield running


def by_smtp(deps: Deps, sink: Sink, timeout_s: float = 5.0) -> Deps:
    server = parse_smtp_url(f"smtp://127.0.0.1:{sink.port}")
    return replace(deps, mailer=SmtpMailer(server, SENDER, timeout_s=timeout_s))


async def put(deps: Deps, key: str = "k", recipient: str = "alice@example.org") -> None:
    async with deps.pool.acquire() as conn, conn.transaction():
        await send_mail(
            conn,
            user_id=None,
            recipient=recipient,
            template="password_reset",
            data={"username": "alice", "valid_for": "1 hour"},
            secret_data={"link": RESET},
            dedup_key=key,
            vault=deps.vault,
            now=deps.now(),
        )


async def row_of(deps: Deps, key: str = "k") -> dict[str, Any]:
    row = await deps.pool.fetchrow("select * from outbox where dedup_key = $1", key)
    assert row is not None
    return dict(row)


async def test_deliver_when_all_is_well_then_sent_once_and_the_secret_is_gone(
    deps: Deps, sink: Sink
) -> None:
    deps = by_smtp(deps, sink)
    assert not await is_mail_due(deps.pool, deps.now())
    await put(deps)
    await put(deps)
    assert "s3cr3t" not in str(await row_of(deps))
    assert await is_mail_due(deps.pool, deps.now())
    assert await deliver_due(deps, 10) == 1
    assert not await is_mail_due(deps.pool, deps.now())
    assert await deliver_due(deps, 10) == 0
    [message] = sink.messages
    body = message.get_body(("plain",))
    assert body is not None
    assert RESET in body.get_content()
    row = await row_of(deps)
    assert row["delivered_at"] is not None
    assert row["secret_data"] is None
    assert row["last_error"] is None


async def test_deliver_when_two_processes_work_then_nothing_is_sent_twice(
    deps: Deps, sink: Sink
) -> None:
    deps = by_smtp(deps, sink)
    for number in range(30):
        await put(deps, f"k{number}")
    tried = await asyncio.gather(deliver_due(deps, 20), deliver_due(deps, 20))
    assert sum(tried) == 30
    assert len({message["Message-ID"] for message in sink.messages}) == len(sink.messages) == 30


async def test_deliver_when_limit_is_given_then_no_more_are_tried(deps: Deps, sink: Sink) -> None:
    deps = by_smtp(deps, sink)
    for number in range(5):
        await put(deps, f"k{number}")
    assert await deliver_due(deps, 3) == 3
    assert len(sink.messages) == 3


async def test_deliver_when_process_dies_after_the_claim_then_another_sends_it_once_after_the_lease(
    deps: Deps, sink: Sink, clock: Clock
) -> None:
    deps = by_smtp(deps, sink)
    await put(deps)
    now = deps.now()
    assert await claim_mail(deps.pool, now, now + timedelta(seconds=LEASE_S)) is not None
    assert await deliver_due(deps, 10) == 0
    clock.move(seconds=LEASE_S + 1)
    assert await deliver_due(deps, 10) == 1
    assert await deliver_due(deps, 10) == 0
    assert len(sink.messages) == 1
    assert (await row_of(deps))["attempts"] == 2


async def test_deliver_when_process_dies_after_sending_then_the_repeat_is_the_same_mail(
    deps: Deps, sink: Sink, clock: Clock
) -> None:
    class Killed(BaseException):
        pass

    class Dying(SmtpMailer):
        async def send(self, message: Mail) -> None:
            await super().send(message)
            raise Killed

    server = parse_smtp_url(f"smtp://127.0.0.1:{sink.port}")
    await put(deps)
    with pytest.raises(BaseExceptionGroup) as caught:
        await deliver_due(replace(deps, mailer=Dying(server, SENDER)), 1)
    assert caught.group_contains(Killed)
    assert (await row_of(deps))["delivered_at"] is None
    clock.move(seconds=LEASE_S + 1)
    assert await deliver_due(by_smtp(deps, sink), 10) == 1
    first, second = sink.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


async def test_deliver_when_files_are_written_twice_then_there_is_one_file_a_mail(
    deps: Deps, clock: Clock, tmp_path: Path
) -> None:
    deps = replace(deps, mailer=FileMailer(tmp_path / "outbox", SENDER))
    await put(deps)
    assert await deliver_due(deps, 10) == 1
    await deps.pool.execute("update outbox set delivered_at = null, secret_data = null")
    await deps.pool.execute(
        "update outbox set data = data || jsonb_build_object('link', $1::text)", RESET
    )
    assert await deliver_due(deps, 10) == 1
    [file] = (tmp_path / "outbox").iterdir()
    row = await row_of(deps)
    assert file.name == f"{row['id']:08d}.eml"
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["To"] == "alice@example.org"


async def test_deliver_when_server_is_away_then_it_waits_longer_each_time_and_comes_back(
    deps: Deps, sink: Sink, clock: Clock
) -> None:
    dead = replace(deps, mailer=RecordingMailer(MailError("connection refused", permanent=False)))
    for number in range(12):
        await put(deps, f"k{number}")
    assert await deliver_due(dead, 12) == outbox.SENDERS
    rows = await deps.pool.fetch("select * from outbox where attempts > 0")
    assert len(rows) == outbox.SENDERS
    assert {row["last_error"] for row in rows} == {"connection refused"}
    assert all(row["due_at"] > deps.now() for row in rows)
    first_wait = min(row["due_at"] for row in rows) - deps.now()
    clock.move(hours=1)
    while await deliver_due(dead, 12):
        pass
    second = await deps.pool.fetchval("select max(due_at) from outbox where attempts = 2")
    assert second - deps.now() > first_wait
    clock.move(hours=1)
    live = by_smtp(deps, sink)
    while await deliver_due(live, 12):
        pass
    assert len(sink.messages) == 12


async def test_deliver_when_recipient_is_refused_then_it_ends_visibly_and_others_go(
    deps: Deps, sink: Sink
) -> None:
    class Picky(Sink):
        async def handle_RCPT(  # noqa: N802 - aiosmtpd calls hooks by these names
            self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
        ) -> str:
            if address.startswith("gone"):
                return "550 password=s3cr3t no such user"
            return await super().handle_RCPT(server, session, envelope, address, options)

    await put(deps, "gone", "gone@example.org")
    await put(deps, "alice")
    await put(deps, "broken", "not an address\r\nRCPT TO:<x@y.z>")
    async with smtp_sink(Picky()) as picky:
        with capture_logs() as lines:
            assert await deliver_due(by_smtp(deps, picky), 10) == 3
    assert len(picky.messages) == 1
    gone = await row_of(deps, "gone")
    assert gone["gave_up_at"] is not None
    assert gone["secret_data"] is None
    assert "550" in gone["last_error"]
    assert "s3cr3t" not in gone["last_error"]
    assert (await row_of(deps, "broken"))["gave_up_at"] is not None
    assert [line["event"] for line in lines].count("mail.given_up") == 2
    assert "s3cr3t" not in str(lines)
    assert not await is_mail_due(deps.pool, deps.now())


async def test_deliver_when_every_attempt_fails_then_it_gives_up(deps: Deps, clock: Clock) -> None:
    deps = replace(
        deps,
        settings=replace(deps.settings, mail_max_attempts=3),
        mailer=RecordingMailer(MailError("421 busy", permanent=False)),
    )
    await put(deps)
    for _ in range(3):
        assert await deliver_due(deps, 10) == 1
        clock.move(days=1)
    assert await deliver_due(deps, 10) == 0
    row = await row_of(deps)
    assert (row["attempts"], row["last_error"]) == (3, "421 busy")
    assert row["gave_up_at"] is not None


async def test_deliver_when_a_mail_kills_every_process_then_it_ends_some_day(
    deps: Deps, clock: Clock
) -> None:
    deps = replace(deps, settings=replace(deps.settings, mail_max_attempts=2))
    await put(deps)
    for _ in range(2):
        now = deps.now()
        assert await claim_mail(deps.pool, now, now + timedelta(seconds=LEASE_S))
        clock.move(seconds=LEASE_S + 1)
    assert await deliver_due(deps, 10) == 1
    assert (await row_of(deps))["gave_up_at"] is not None
    assert isinstance(deps.mailer, RecordingMailer)
    assert deps.mailer.sent == []


async def test_deliver_when_secret_cannot_be_opened_or_template_lacks_then_given_up_and_others_go(
    deps: Deps,
) -> None:
    await put(deps, "moved")
    await put(deps, "fine")
    await deps.pool.execute("update outbox set dedup_key = 'elsewhere' where dedup_key = 'moved'")
    await put(deps, "lacks")
    await deps.pool.execute("update outbox set data = '{}' where dedup_key = 'lacks'")
    other_key = replace(deps, vault=Vault({"k2": b"w" * 32}))
    await put(other_key, "other key")
    assert await deliver_due(deps, 10) == 4
    assert (await row_of(deps, "fine"))["delivered_at"] is not None
    for key in ("elsewhere", "lacks", "other key"):
        assert (await row_of(deps, key))["gave_up_at"] is not None


async def test_deliver_when_a_mailer_has_a_fault_of_its_own_then_it_is_tried_again(
    deps: Deps, clock: Clock
) -> None:
    class Faulty(RecordingMailer):
        async def send(self, message: Mail) -> None:
            raise KeyError("s3cr3t")

    await put(deps)
    with capture_logs() as lines:
        assert await deliver_due(replace(deps, mailer=Faulty()), 1) == 1
    assert lines[0]["event"] == "mail.crashed"
    clock.move(minutes=1)
    assert await deliver_due(deps, 1) == 1
    assert (await row_of(deps))["delivered_at"] is not None


async def test_deliver_when_lease_was_lost_then_the_late_failure_changes_nothing(
    deps: Deps, clock: Clock
) -> None:
    await put(deps)

    class Slow(RecordingMailer):
        async def send(self, message: Mail) -> None:
            clock.move(seconds=LEASE_S + 1)
            assert await deliver_due(deps, 1) == 1
            raise MailError("late", permanent=True)

    await deliver_due(replace(deps, mailer=Slow()), 1)
    row = await row_of(deps)
    assert row["delivered_at"] is not None
    assert row["gave_up_at"] is None


async def test_send_mail_when_data_do_not_fit_the_template_then_refused(deps: Deps) -> None:
    wrong: list[tuple[str, dict[str, object]]] = [
        ("job_failed", {}),
        ("password_reset", {"username": "a"}),
        ("../x", {}),
        ("email_confirm", {"username": "a", "valid_for": "1 hour", "link": "x", "more": 1}),
    ]
    async with deps.pool.acquire() as conn:
        for template, data in wrong:
            mail: dict[str, Any] = {"template": template, "data": data, "dedup_key": "k"}
            with pytest.raises(ValueError, match="needs other data"):
                await send_mail(conn, user_id=None, recipient="a@b.c", **mail)


async def test_completed_mail_when_sent_then_its_link_is_signed_then_and_stored_nowhere(
    deps: Deps, alice: Person, sink: Sink, clock: Clock
) -> None:
    job_id = await add_job(deps.pool, alice.id, await add_service(deps.pool), name="<b>&x")
    file_id = await add_results(deps.pool, alice.id, job_id)
    job = await get_job(deps.pool, job_id)
    async with deps.pool.acquire() as conn:
        await announce(conn, job, NoticeEvent.JOB_COMPLETED, settings=deps.settings, now=deps.now())
    assert await deps.pool.fetchval("select count(*) from signed_links") == 0
    sink.rcpt_answer = "451 later"
    assert await deliver_due(by_smtp(deps, sink), 1) == 1
    sink.rcpt_answer = None
    clock.move(hours=1)
    assert await deliver_due(by_smtp(deps, sink), 1) == 1
    [link] = await deps.pool.fetch("select * from signed_links")
    assert link["purpose"] == "results_mail"
    assert (link["file_id"], link["user_id"], link["job_id"]) == (file_id, alice.id, job_id)
    left = link["expires_at"] - deps.now()
    assert abs(left.total_seconds() - deps.settings.mail_link_lifetime_s) < 60
    [message] = sink.messages
    text, html = (part.get_content() for part in message.iter_parts())
    url = next(word for word in text.split() if "/files/download/" in word)
    assert url in html
    assert url.startswith("http://platform.test/files/download/")
    token, name = urlsplit(url).path.split("/")[-2:]
    assert deps.links.read(token) == (link["id"], file_id)
    assert unquote(name) == "results of é.zip"
    assert "<b>&amp;x" not in html
    assert "&lt;b&gt;&amp;x" in html
    dump = str(await deps.pool.fetch("select o::text, n::text from outbox o, notifications n"))
    assert token not in dump


async def test_completed_mail_when_results_are_gone_meanwhile_then_it_has_no_link(
    deps: Deps, alice: Person
) -> None:
    job_id = await add_job(deps.pool, alice.id, await add_service(deps.pool))
    job = await get_job(deps.pool, job_id)
    async with deps.pool.acquire() as conn:
        await announce(conn, job, NoticeEvent.JOB_COMPLETED, settings=deps.settings, now=deps.now())
    assert await deliver_due(deps, 1) == 1
    assert isinstance(deps.mailer, RecordingMailer)
    assert "/files/download/" not in deps.mailer.sent[0].text


async def test_mail_when_names_inject_headers_and_markup_then_none_is_added(
    deps: Deps, alice: Person
) -> None:
    evil = "x\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>"
    await deps.pool.execute("update users set full_name = $2 where id = $1", alice.id, evil)
    job_id = await add_job(deps.pool, alice.id, await add_service(deps.pool, evil), name=evil)
    job = await get_job(deps.pool, job_id)
    async with deps.pool.acquire() as conn:
        for event in JOB_EVENTS:
            await announce(conn, job, event, settings=deps.settings, now=deps.now())
    assert await deliver_due(deps, 20) == len(JOB_EVENTS)
    assert isinstance(deps.mailer, RecordingMailer)
    for mail in deps.mailer.sent:
        raw = to_mime(mail, SENDER).as_bytes(policy=policy.SMTP)
        message = message_from_bytes(raw, policy=policy.default)
        assert message["Bcc"] is None
        assert message["To"] == "alice@example.org"
        assert "<script>" not in mail.html
        assert "\nBcc:" not in mail.text
