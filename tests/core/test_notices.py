"""Notices in words, over the channels that their owner wants."""

from datetime import timedelta
from typing import Any

import pytest

from app.core.errors import InvalidInput
from app.core.models import Job
from app.core.notices import (
    ADMIN_PATH,
    CREDENTIAL_EVENTS,
    CREDENTIALS_PATH,
    RULES,
    Channel,
    CredentialNews,
    NoticeEvent,
    change_preferences,
    compose,
    compose_credential,
    dedup_base,
    full_preferences,
    wanted_channels,
)
from tests.support.notices import JOB_EVENTS, NOW, make_job


def test_rules_when_read_then_every_event_has_one() -> None:
    assert set(RULES) == set(NoticeEvent)


@pytest.mark.parametrize("event", JOB_EVENTS)
def test_compose_when_name_holds_line_breaks_and_controls_then_all_is_one_clean_line(
    event: NoticeEvent,
) -> None:
    job = make_job(
        name="evil\r\nBcc: all@example.org\x00\x1b[2J\u202e name {reason}",
        error_message="bad\r\ninput\x07",
        hold_reason="no\ntoken",
        error_action="Press\rretry.",
    )
    notice = compose(event, job, "Server\nX")
    for text in (notice.title, notice.message, notice.job_name, notice.reason, notice.way_out):
        assert text.isprintable()
    assert "{reason}" in notice.job_name  # a name is never a template
    assert notice.action_path.startswith("/ui/")


def test_compose_when_job_failed_then_it_says_why_and_what_to_do() -> None:
    job = make_job(
        error_code="strand_flips", error_message="Too many strand flips", error_action="Align it."
    )
    notice = compose(NoticeEvent.JOB_FAILED, job, "Server")
    assert notice.message == "«chr20 of my cohort» failed: Too many strand flips. Align it."
    assert notice.action_path == f"/ui/jobs/{job.id}"


def test_compose_when_credential_was_the_reason_then_it_leads_to_the_credentials() -> None:
    failed = make_job(error_code="credential_rejected", error_message="401")
    assert compose(NoticeEvent.JOB_FAILED, failed, "Server").action_path == CREDENTIALS_PATH
    held = make_job(hold_reason="Your token has expired")
    notice = compose(NoticeEvent.CREDENTIAL_NEEDED, held, "Server")
    assert notice.action_path == CREDENTIALS_PATH
    assert "Your token has expired." in notice.message


def test_compose_when_name_is_endless_or_empty_then_it_is_shown_short() -> None:
    assert len(compose(NoticeEvent.JOB_QUEUED, make_job(name="x" * 5000), "S").job_name) == 200
    nameless = make_job(name="\r\n\u200b")
    assert compose(NoticeEvent.JOB_QUEUED, nameless, "S").job_name == str(nameless.id)


@pytest.mark.parametrize("event", sorted(CREDENTIAL_EVENTS))
@pytest.mark.parametrize("is_shared", [True, False])
def test_compose_when_it_is_of_a_credential_then_it_says_which_and_where_to_act(
    event: NoticeEvent, is_shared: bool
) -> None:
    news = CredentialNews(is_shared=is_shared, ends="3 May 2025", reason="401\r\n{ends}\x07")
    notice = compose_credential(event, news, "Server\nX {reason}")
    assert notice.message.isprintable()
    owner = "The shared" if is_shared else "Your"
    assert notice.message.startswith(f"{owner} credential for Server X {{reason}}")
    is_refusal = event is NoticeEvent.CREDENTIAL_REJECTED
    assert ("401 {ends}." if is_refusal else "3 May 2025") in notice.message
    assert notice.action_path == (ADMIN_PATH if is_shared else CREDENTIALS_PATH)


def test_dedup_when_event_comes_again_then_only_repeatable_ones_count_anew_another_day() -> None:
    job: Job = make_job()
    tomorrow = NOW + timedelta(days=1)
    completed = NoticeEvent.JOB_COMPLETED
    assert dedup_base(completed, job, NOW) == f"{job.id}:job_completed"
    assert dedup_base(completed, job, NOW) == dedup_base(completed, job, tomorrow)
    needed = NoticeEvent.CREDENTIAL_NEEDED
    assert dedup_base(needed, job, NOW) == dedup_base(needed, job, NOW + timedelta(hours=1))
    assert dedup_base(needed, job, NOW) != dedup_base(needed, job, tomorrow)
    assert dedup_base(needed, job, NOW, "7") == f"{job.id}:credential_needed:7"


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ({}, (Channel.WEB, Channel.EMAIL)),
        ({"job_queued": {"email": False}}, (Channel.WEB,)),
        ({"job_queued": {"web": False}}, (Channel.EMAIL,)),
        ({"job_queued": {"web": False, "email": False}}, ()),
        ({"job_failed": {"web": False}}, (Channel.WEB, Channel.EMAIL)),
        ({"job_queued": "broken"}, (Channel.WEB, Channel.EMAIL)),
    ],
)
def test_channels_when_preferences_are_given_then_what_is_not_named_is_on(
    preferences: dict[str, Any], expected: tuple[Channel, ...]
) -> None:
    assert wanted_channels(NoticeEvent.JOB_QUEUED, preferences) == expected


def test_change_preferences_when_some_are_named_then_the_others_stay() -> None:
    stored = {"job_queued": {"web": True, "email": False}}
    changed = change_preferences(stored, {"job_failed": {"web": False}})
    assert changed["job_queued"] == {"web": True, "email": False}
    assert changed["job_failed"] == {"web": False, "email": True}
    assert set(changed) == set(NoticeEvent)
    assert full_preferences(changed) == changed


@pytest.mark.parametrize(
    "change",
    [
        {"s3cr3t": {"web": True}},
        {"job_failed": {"s3cr3t": True}},
        {"job_failed": {"web": "s3cr3t"}},
        {"job_failed": 1},
    ],
)
def test_change_preferences_when_not_understood_then_refused_without_repeating_it(
    change: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput) as caught:
        change_preferences({}, change)
    assert caught.value.errors
    assert "s3cr3t" not in str(caught.value.errors) + caught.value.message
