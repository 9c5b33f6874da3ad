"""The outbox of e-mails: written in the transaction of what they tell of, delivered later, at least once.

A row is claimed with a lease and its attempt counted before anything is sent, and nothing is sent inside a transaction. Who
dies in between leaves the row to the next one, whose e-mail has the same Message-ID. Secrets of an e-mail (a one-time
link) are sealed in its row, opened only to send it, and gone when that is done.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import structlog

from app.core.names import one_line
from app.core.notices import NoticeEvent
from app.db.notices import NOTICES, QueuedMail, claim_mail, find_results_file
from app.db.queries import Connection, Executor
from app.logs import redact
from app.mail import Mail, MailError, TemplateBroken, render
from app.security.vault import Vault, VaultError
from app.usecases.deps import Deps, utc_now

log = structlog.get_logger(__name__)

RETRY_DELAYS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0)
"""Between attempts; the last one repeats. With the default of 20 attempts an e-mail is tried for two days."""
LEASE_S = 300.0
"""Longer than one e-mail can take: SmtpMailer gives up after a minute."""
SENDERS = 4
MAX_ERROR_CHARS = 300

ACCOUNT_MAILS: Mapping[str, frozenset[str]] = {
    "password_reset": frozenset({"username", "valid_for", "link"}),
    "account_created": frozenset({"username", "valid_for", "link"}),
    "email_confirm": frozenset({"username", "valid_for", "link"}),
}
"""The e-mails of accounts and what each is given; `valid_for` reads «1 hour», `link` is the secret part."""


async def send_mail(
    conn: Connection,
    *,
    user_id: int | None,
    recipient: str,
    template: str,
    data: Mapping[str, object],
    dedup_key: str,
    secret_data: Mapping[str, str] | None = None,
    vault: Vault | None = None,
    now: datetime | None = None,
) -> None:
    """Put an e-mail of an account (`ACCOUNT_MAILS`) into the outbox, in the caller's transaction.

    `secret_data` is sealed by `vault`. A second one with the same `dedup_key` is left out. After the commit the caller
    enqueues `deliver_mail`. Raises ValueError when the data are not what the template needs.
    """
    secrets = dict(secret_data or {})
    if template not in ACCOUNT_MAILS or {*data, *secrets} != ACCOUNT_MAILS[template]:
        raise ValueError(f"the e-mail {template!r} does not exist or needs other data")
    sealed: tuple[bytes | None, str | None] = (None, None)
    if secrets:
        if vault is None:
            raise ValueError("secret data need a vault")
        sealed = vault.seal(msgspec.json.encode(secrets).decode(), "outbox", dedup_key)
    await queue_mail(
        conn,
        user_id=user_id,
        recipient=recipient,
        template=template,
        data=data,
        dedup_key=dedup_key,
        now=now or utc_now(),
        sealed=sealed,
    )


async def queue_mail(
    conn: Connection,
    *,
    user_id: int | None,
    recipient: str,
    template: str,
    data: Mapping[str, object],
    dedup_key: str,
    now: datetime,
    sealed: tuple[bytes | None, str | None] = (None, None),
) -> None:
    """Insert a row of the outbox unless its `dedup_key` stands there."""
    await NOTICES.insert_mail.run(
        conn,
        user_id=user_id,
        dedup_key=dedup_key,
        template=template,
        recipient=recipient,
        data=dict(data),
        secret_data=sealed[0],
        secret_data_key_id=sealed[1],
        now=now,
    )


async def is_mail_due(db: Executor, now: datetime) -> bool:
    """Tell whether `deliver_due` would find something; cheap."""
    return bool(await NOTICES.is_mail_due.value(db, now=now))


async def deliver_due(deps: Deps, limit: int) -> int:
    """Try up to `limit` due e-mails; give how many were tried (0: nothing is due).

    A failure that may pass ends the round of the sender that met it: while the mail server is away, a call costs a few
    attempts and not one for each e-mail.
    """
    tickets = iter(range(limit))
    async with asyncio.TaskGroup() as group:
        senders = [group.create_task(_send_some(deps, tickets)) for _ in range(min(SENDERS, limit))]
    return sum(sender.result() for sender in senders)


async def _send_some(deps: Deps, tickets: Iterator[int]) -> int:
    tried = 0
    for _ in tickets:
        now = deps.now()
        row = await claim_mail(deps.pool, now, now + timedelta(seconds=LEASE_S))
        if row is None:
            break
        tried += 1
        if not await _deliver(deps, row):
            break
    return tried


async def _deliver(deps: Deps, row: QueuedMail) -> bool:
    """Send one and write down how it went; false when the next e-mail is likely to fail too."""
    if row.attempts > deps.settings.mail_max_attempts:
        await _give_up(deps, row, "every attempt ended without a result")
        return True
    try:
        words = render(row.template, await _context(deps, row))
        mail = Mail(row.id, row.recipient, words.subject, words.text, words.html, row.created_at)
        await deps.mailer.send(mail)
    except MailError as error:
        if error.permanent:
            await _give_up(deps, row, error.reason)
            return True
        return await _delay(deps, row, error.reason)
    except (TemplateBroken, VaultError) as error:
        await _give_up(deps, row, str(error))
        return True
    except Exception as error:
        # The outermost wrapper of one e-mail: another one must not suffer for it.
        log.exception("mail.crashed", mail_id=row.id, template=row.template)
        return await _delay(deps, row, type(error).__name__)
    await NOTICES.mark_mail_delivered.run(deps.pool, id=row.id, now=deps.now())
    log.info("mail.delivered", mail_id=row.id, template=row.template, attempts=row.attempts)
    return True


async def _delay(deps: Deps, row: QueuedMail, reason: str) -> bool:
    if row.attempts >= deps.settings.mail_max_attempts:
        await _give_up(deps, row, reason)
        return False
    error = _shown(reason)
    delay_s = RETRY_DELAYS_S[min(row.attempts, len(RETRY_DELAYS_S)) - 1]
    due_at = deps.now() + timedelta(seconds=delay_s)
    await NOTICES.retry_mail.run(
        deps.pool, id=row.id, attempts=row.attempts, due_at=due_at, error=error
    )
    log.warning(
        "mail.delayed", mail_id=row.id, attempts=row.attempts, retry_in_s=delay_s, reason=error
    )
    return False


async def _give_up(deps: Deps, row: QueuedMail, reason: str) -> None:
    error, now = _shown(reason), deps.now()
    await NOTICES.give_up_mail.run(
        deps.pool, id=row.id, attempts=row.attempts, now=now, error=error
    )
    await NOTICES.revoke_mail_link.run(deps.pool, id=_link_id(row), now=now)
    log.error(
        "mail.given_up", mail_id=row.id, template=row.template, attempts=row.attempts, reason=error
    )


async def _context(deps: Deps, row: QueuedMail) -> dict[str, object]:
    """Give what the template may use: the row's data, its opened secrets, our addresses, the link to the results."""
    base = deps.settings.base_url
    context: dict[str, object] = {
        "addressee": row.data.get("username", ""),
        "home_url": f"{base}/",
        "preferences_url": f"{base}/ui/settings/notifications",
        **row.data,
    }
    if row.secret_data is not None:
        opened = deps.vault.open(
            row.secret_data, row.secret_data_key_id or "", "outbox", row.dedup_key
        )
        context |= msgspec.json.decode(opened)
    if row.template == NoticeEvent.JOB_COMPLETED:
        context |= await _results_link(deps, row)
    return context


async def _results_link(deps: Deps, row: QueuedMail) -> dict[str, str | None]:
    """Sign a link to the results that works without signing in; it is made now and stands in no row."""
    job_id = UUID(row.data["job_id"])
    file = await find_results_file(deps.pool, job_id)
    if file is None:
        return dict.fromkeys(("download_url", "download_until", "file_name", "file_size"))
    now = deps.now()
    ends = now + timedelta(seconds=deps.settings.mail_link_lifetime_s)
    link_id = _link_id(row)
    await NOTICES.ensure_mail_link.run(
        deps.pool,
        id=link_id,
        file_id=file.file_id,
        user_id=file.user_id,
        job_id=job_id,
        now=now,
        expires_at=ends,
    )
    token = deps.links.sign(link_id, file.file_id)
    return {
        "download_url": f"{deps.settings.base_url}/files/download/{token}/{quote(file.name, safe='')}",
        "download_until": f"{ends:%d %B %Y, %H:%M} UTC",
        "file_name": file.name,
        "file_size": _size(file.size_bytes),
    }


def _link_id(row: QueuedMail) -> UUID:
    return uuid5(NAMESPACE_URL, f"fip-outbox:{row.id}:{row.dedup_key}")


def _size(size_bytes: int) -> str:
    value = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _shown(reason: str) -> str:
    return redact(one_line(reason))[:MAX_ERROR_CHARS]
