"""The e-mails of credentials, as they go."""

from datetime import timedelta

from app.mail import RecordingMailer
from app.usecases.credential_watch import watch_ends
from app.usecases.outbox import deliver_due
from tests.engine.credentials import jwt, store
from tests.engine.stage import Stage
from tests.support.people import Person


async def test_mail_when_an_end_is_near_then_it_names_the_service_the_day_and_where_to_go(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, name="Server <b>\r\nBcc: all@example.org")
    ends = stage.clock() + timedelta(days=3)
    token = jwt(ends)
    await store(stage, dora, desk, token)
    await watch_ends(stage.deps)
    assert ("deliver_mail", ()) in stage.queue.tasks, "nobody waits for the next round"
    assert await deliver_due(stage.deps, 10) == 1
    assert isinstance(stage.deps.mailer, RecordingMailer)
    [mail] = stage.deps.mailer.sent
    assert mail.subject == "Credential ends soon: Server <b> Bcc: all@example.org"
    for text in (mail.text, mail.html):
        assert f"{ends.day} {ends:%B %Y, %H:%M} UTC" in text
        assert "/ui/settings/service-credentials" in text
        assert token not in text
    assert "&lt;b&gt;" in mail.html
    assert "<b>" not in mail.html
