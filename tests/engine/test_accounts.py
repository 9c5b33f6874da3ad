"""An account's credential and its service: what one job learns holds all of the account, and what was mended lets them go on at once."""

from app.adapters.base import CredentialRejected, ServiceUnavailable
from app.core.remote import RemoteState
from app.usecases.catalogue import change_service
from app.usecases.deps import Actor
from app.usecases.engine.upkeep import check_services
from app.usecases.own_credentials import GivenCredential, store_credential
from app.usecases.service_fields import ServiceChange
from tests.engine.stage import Stage, make_person
from tests.support.jobs import Desk
from tests.support.people import Person

SHARED = {"credential_policy": "shared", "credential_kind": "token"}


async def store(stage: Stage, person: Person, desk: Desk, token: str = "another-token") -> None:
    """Let a person store a token that the service accepts."""
    stage.service.tokens[token] = "researcher"
    given = GivenCredential(api_token=token)
    await store_credential(stage.deps, Actor(person.user), desk.service.id, given, "")


async def share(stage: Stage, desk: Desk, token: str = "the-shared-token") -> None:
    """Let an administrator set the shared token."""
    stage.service.tokens[token] = "researcher"
    change = ServiceChange(credential_policy="shared", api_config={"api_token": token})
    await change_service(stage.deps, None, desk.service.id, change)


async def test_submission_when_the_token_is_replaced_while_it_is_refused_then_goes_on_at_once(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("away")
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.down = None
    stage.service.tokens.clear()

    async def mend() -> None:
        await store(stage, dora, desk)
        stage.service.tokens.clear()  # this call still uses the old one

    stage.service.meanwhile["verify_credential"] = mend
    stage.clock.move(seconds=60)
    await stage.step()
    assert (await stage.job(job.id)).stage == "credential_needed"
    stage.service.tokens["another-token"] = "researcher"
    await stage.step()
    assert (await stage.job(job.id)).external_job_id is not None, "it did not wait for an hour"
    rejected = await stage.deps.pool.fetchval("select rejected_at from user_service_credentials")
    assert rejected is None, "the new token was never refused"


async def test_look_when_the_token_is_replaced_while_it_is_refused_then_holds_nothing(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.meanwhile["status_many"] = lambda: store(stage, dora, desk)
    stage.service.errors["status_many"] = [CredentialRejected("revoked")]
    assert await stage.look() == 0
    assert (await stage.job(job.id)).stage == "remote_queue"
    deferred = await stage.deps.pool.fetchval(
        "select next_poll_at > now() + interval '1 minute' from service_accounts"
    )
    assert not deferred


async def test_account_when_its_token_is_refused_later_then_all_its_jobs_wait_and_only_one_asks(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("away")
    jobs = [await stage.submit(dora, desk) for _ in range(4)]
    await stage.step()
    stages = {(await stage.job(job.id)).stage for job in jobs}
    assert stages == {"service_unavailable"}
    assert stage.service.calls["verify_credential"] == 1, "an outage is looked at by one job"
    stage.service.down = None
    stage.service.tokens.clear()
    stage.clock.move(seconds=60)
    await stage.step()
    stages = {(await stage.job(job.id)).stage for job in jobs}
    assert stages == {"credential_needed"}
    assert stage.service.calls["verify_credential"] == 2
    for job in jobs:
        assert (await stage.notices(job.id))["credential_needed"] == 1
        assert (await stage.job(job.id)).next_action_at is not None
    assert await stage.step() == 0, "nothing is handed over again and again"
    await store(stage, dora, desk)
    await stage.step()
    assert len(stage.service.jobs) == 4


async def test_submission_when_the_token_is_refused_at_the_first_try_then_fails_each_job_once(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.tokens.clear()
    jobs = [await stage.submit(dora, desk) for _ in range(2)]
    await stage.step()
    for job in jobs:
        failed = await stage.job(job.id)
        assert failed.status == "failed"
        assert "authentication failed" in (failed.error_message or "")
        assert "press retry" in (failed.error_action or "")
    assert stage.service.jobs == []


async def test_job_of_the_shared_account_when_its_user_stores_an_own_token_then_goes_on_with_the_shared_one(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, **SHARED)
    await share(stage, desk)
    job = await stage.submit(dora, desk, shared=True)
    await stage.step()
    assert (await stage.job(job.id)).external_job_id is not None
    await stage.look()
    assert (await stage.job(job.id)).stage == "remote_queue"
    ended = await stage.until_end(job.id)
    assert ended.status == "completed"


async def test_shared_account_when_its_token_is_refused_then_nobodys_own_token_is_marked(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, **SHARED)
    await share(stage, desk)
    job = await stage.submit(dora, desk, shared=True)
    await stage.step()
    del stage.service.tokens["the-shared-token"]
    await stage.look()
    held = await stage.job(job.id)
    assert held.stage == "credential_needed"
    assert "administrator" in (held.hold_reason or "")
    assert (
        await stage.deps.pool.fetchval("select rejected_at from user_service_credentials") is None
    )
    await share(stage, desk, "the-next-shared-token")
    assert (await stage.until_end(job.id)).status == "completed"


async def test_shared_account_when_one_user_may_no_longer_use_it_then_the_others_may(
    stage: Stage, dora: Person
) -> None:
    eric = await make_person(stage, "eric")
    desk = await stage.desk(dora, **SHARED)
    await share(stage, desk)
    barred = await stage.submit(dora, desk, shared=True)
    other = await stage.submit(eric, desk, shared=True)
    await stage.deps.pool.execute("""update services set shared_with = '{"users": ["eric"]}'""")
    await stage.step()
    assert (await stage.job(barred.id)).stage == "credential_needed"
    assert (await stage.job(other.id)).external_job_id is not None
    assert (await stage.until_end(other.id)).status == "completed"


async def test_job_when_its_service_asks_for_no_credential_then_completes(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, credential_kind="none")
    job = await stage.submit(dora, desk, shared=True)
    assert (await stage.until_end(job.id)).status == "completed"


async def test_look_when_one_job_is_not_shown_to_the_account_then_only_this_one_is_held(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    jobs = [await stage.submit(dora, desk) for _ in range(2)]
    await stage.step()
    hidden, seen = [await stage.job(job.id) for job in jobs]
    stage.service.get(hidden.external_job_id).owner = "somebody else"
    stage.service.errors["status"] = [CredentialRejected("Access denied.")]
    stage.service.get(seen.external_job_id).state = RemoteState.RUNNING
    await stage.look()
    assert (await stage.job(hidden.id)).stage == "credential_needed"
    assert (await stage.job(seen.id)).stage == "remote_running"


async def test_look_when_the_service_cannot_tell_about_one_job_then_sees_the_others(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    jobs = [await stage.submit(dora, desk) for _ in range(3)]
    await stage.step()
    first = await stage.job(jobs[0].id)
    stage.service.get(first.external_job_id).owner = "somebody else"
    stage.service.errors["status"] = [ServiceUnavailable("500")] * 5
    for item in stage.service.jobs[1:]:
        item.state = RemoteState.RUNNING
    assert await stage.look() == 2


async def test_jobs_when_their_service_is_down_then_are_woken_when_it_is_back(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("away")
    jobs = [await stage.submit(dora, desk) for _ in range(3)]
    for _ in range(12):
        stage.clock.move(seconds=900)
        await stage.step()
    assert await stage.step() == 0
    await check_services(stage.deps)
    stage.service.down = None
    stage.clock.move(seconds=61)
    await check_services(stage.deps)
    await stage.step()
    assert len(stage.service.jobs) == len(jobs)


async def test_job_when_its_service_is_disabled_then_waits_and_goes_on_when_it_is_enabled(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await change_service(stage.deps, None, desk.service.id, ServiceChange(is_active=False))
    await stage.step()
    held = await stage.job(job.id)
    assert held.stage == "service_unavailable"
    assert "disabled" in (held.hold_reason or "")
    await change_service(stage.deps, None, desk.service.id, ServiceChange(is_active=True))
    assert (await stage.until_end(job.id)).status == "completed"


async def test_job_when_its_input_is_no_longer_stored_then_fails_and_says_so(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.deps.pool.execute("delete from job_files")
    await stage.step()
    failed = await stage.job(job.id)
    assert failed.status == "failed"
    assert "no longer stored" in (failed.error_message or "")
    assert stage.service.jobs == []
