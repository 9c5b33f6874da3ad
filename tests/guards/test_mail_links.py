"""Every link in every e-mail, and in every notice, leads to something that is there for whoever got it."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from app.core.models import Job
from app.core.notices import CREDENTIAL_EVENTS, CredentialNews, NoticeEvent
from app.mail import RecordingMailer
from app.usecases import one_time
from app.usecases.deps import Deps
from app.usecases.notices import announce, announce_credential
from app.usecases.outbox import ACCOUNT_MAILS, deliver_due
from tests.guards.conftest import Belongings
from tests.support.api import Api
from tests.support.notices import get_job
from tests.support.people import Person


async def announce_all(deps: Deps, job: Job, admin: Person) -> None:
    """Tell of every event; of the credential's also to who looks after a shared one."""
    service_id, now, settings = job.service_id, deps.now(), deps.settings
    async with deps.pool.acquire() as conn, conn.transaction():
        for event in NoticeEvent:
            if event not in CREDENTIAL_EVENTS:
                await announce(conn, job, event, settings=settings, now=now)
                continue
            for user_id, news in (
                (job.user_id, CredentialNews(is_shared=False, ends="tomorrow")),
                (admin.id, CredentialNews(is_shared=True, ends="tomorrow")),
            ):
                await announce_credential(
                    conn, user_id, service_id, event, news, key=f"{event}:{user_id}", settings=settings, now=now
                )  # fmt: skip


def links_of(deps: Deps, text: str) -> set[str]:
    """Give the paths on the platform that an e-mail links to."""
    found = set(re.findall(r"https?://[^\s\"<>]+[^\s\"<>.,;]", text.replace("&amp;", "&")))
    mine = {link for link in found if link.startswith(f"{deps.settings.base_url}/")}
    assert found == mine, "an e-mail leads elsewhere"
    return {link.removeprefix(deps.settings.base_url) for link in mine}


async def follow(client: Api, path: str, person: Person | None) -> int:
    """Follow a link as a browser does, redirects too; give the status in the end."""
    headers = {"Cookie": f"fip_session={person.token}"} if person else {}
    for _ in range(5):
        answer = await client.get(path, headers={**headers, "Accept": "text/html"})
        if answer.status not in (302, 303):
            return answer.status
        path = answer.headers["Location"]
    raise AssertionError(f"round and round: {path}")


async def test_mails_when_their_links_are_followed_then_each_leads_somewhere(
    client: Api, deps: Deps, belongings: Belongings, alice: Person, admin: Person
) -> None:
    job = await get_job(deps.pool, belongings.ids["/jobs/{"])  # type: ignore[arg-type] # the id of a job
    await announce_all(deps, job, admin)
    await one_time.request_password_reset(deps, "alice", "127.0.0.1")
    async with deps.pool.acquire() as conn, conn.transaction():
        new = replace(alice.user, pending_email="new@example.org")
        await conn.execute(
            "update users set pending_email = $2 where id = $1", new.id, new.pending_email
        )
        await one_time.send_confirmation(deps, conn, new)
    assert isinstance(deps.mailer, RecordingMailer)
    while await deliver_due(deps, 50):
        pass

    people = {"alice@example.org": alice, "new@example.org": alice, "root@example.org": admin}
    assert len(deps.mailer.sent) >= len(NoticeEvent) + len(ACCOUNT_MAILS)
    dead = []
    for mail in deps.mailer.sent:
        person = people[mail.recipient]
        for path in links_of(deps, mail.html) | links_of(deps, mail.text):
            status = await follow(client, path, person)
            if status != 200:
                dead.append(f"{mail.subject}: {urlsplit(path).path} {status}")
    assert not dead


async def test_notices_when_their_button_is_pressed_then_it_leads_somewhere(
    client: Api, deps: Deps, belongings: Belongings, alice: Person, admin: Person
) -> None:
    job = await get_job(deps.pool, belongings.ids["/jobs/{"])  # type: ignore[arg-type] # the id of a job
    await announce_all(deps, job, admin)

    rows = await deps.pool.fetch("select user_id, type, data from notifications")
    people = {alice.id: alice, admin.id: admin}
    dead = set()
    for row in rows:
        for name in ("action_url", "results_url"):
            if url := row["data"].get(name):
                path = url.removeprefix(deps.settings.base_url)
                if await follow(client, path, people[row["user_id"]]) != 200:
                    dead.add(f"{row['type']}: {name} {path}")
    assert not dead


async def test_first_link_when_followed_by_nobody_then_the_form_is_there(
    client: Api, deps: Deps
) -> None:
    link = await one_time.ensure_setup_link(deps)
    assert link is not None

    path = link.removeprefix(deps.settings.base_url)
    assert path.startswith("/ui/setup/")
    assert await follow(client, path, None) == 200
