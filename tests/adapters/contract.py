"""The contract of `app.adapters.base.Adapter`: one suite that every dialect passes.

A dialect joins with a `Bench`: a running remote service that can be put into situations. Everything else is said in the
interface's own words. See test_contract.py.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from app.adapters.base import (
    Adapter,
    AdapterError,
    Capabilities,
    Credential,
    CredentialRejected,
    DoubtfulSubmission,
    Rejected,
    RemoteNotFound,
    RemoteState,
    SearchInconclusive,
    ServiceUnavailable,
    Submission,
)
from tests.adapters.sinks import MemorySink

OPEN = {RemoteState.WAITING, RemoteState.RUNNING}


class Bench(Protocol):
    """A remote service of one dialect."""

    good: Credential
    bad: Credential
    unknown_id: str
    """An id of the right form that no job has."""
    ends: frozenset[RemoteState]
    """The ends that the dialect has words for."""

    hides_jobs: bool
    """The service has no list of jobs, so that a lost one cannot be found."""

    def open(self, credential: Credential | None) -> Adapter:
        """Open an adapter for the service."""

    def submission(self, name: str) -> Submission:
        """Make a job that the service accepts."""

    async def hold_jobs(self) -> None:
        """Make jobs that are submitted from now on stay open."""

    async def finish(self, remote_id: str) -> None:
        """Return when the job has succeeded and its results can be had."""

    async def force(self, remote_id: str, state: RemoteState) -> None:
        """Put a job into a state."""

    async def lose_next_answer(self) -> None:
        """Accept the next submission, and drop the connection instead of an answer."""

    async def break_down(self) -> None:
        """Answer every call with a proxy's error page."""

    async def mend(self) -> None:
        """Work again."""

    async def count_named(self, name: str) -> int:
        """Give how many jobs of that name the service ever accepted."""


def _ignore(_count: int) -> None:
    pass


class AdapterContract:
    """The suite. `bench` is a fixture of the subclass's module."""

    # Shape ------------------------------------------------------------------------------------------------------------

    async def test_adapter_when_opened_then_it_has_the_whole_interface(self, bench: Bench) -> None:
        adapter = bench.open(bench.good)
        assert isinstance(adapter.kind, str)
        assert isinstance(adapter.capabilities, Capabilities)
        for name, wanted in inspect.getmembers(Adapter, inspect.iscoroutinefunction):
            offered = getattr(adapter, name)
            assert inspect.iscoroutinefunction(offered), name
            expected = list(inspect.signature(wanted).parameters)[1:]
            assert list(inspect.signature(offered).parameters) == expected, name

    # Before a job -----------------------------------------------------------------------------------------------------

    async def test_verify_when_good_then_valid_when_bad_then_a_report(self, bench: Bench) -> None:
        assert (await bench.open(bench.good).verify_credential()).valid
        for credential in (bench.bad, None):
            report = await bench.open(credential).verify_credential()
            assert not report.valid
            assert report.message
            assert report.expires_at is None

    async def test_describe_when_read_then_a_submission_can_be_made_of_it(
        self, bench: Bench
    ) -> None:
        described = await bench.open(bench.good).describe()
        keys = [panel.key for panel in described.panels]
        assert keys
        assert len(set(keys)) == len(keys)
        submission = bench.submission("fi-x")
        panel = next(panel for panel in described.panels if panel.key == submission.panel_key)
        assert submission.population in [choice.key for choice in panel.populations]
        assert submission.build in described.builds
        assert described.default_phasing in described.phasings
        assert await bench.open(bench.good).describe() == described

    async def test_health_when_the_service_works_then_no_credential_is_needed(
        self, bench: Bench
    ) -> None:
        for credential in (bench.good, bench.bad, None):
            health = await bench.open(credential).health()
            assert not health.maintenance
            assert health.latency_s >= 0

    # Submitting -------------------------------------------------------------------------------------------------------

    async def test_submit_when_accepted_then_one_job_that_is_found_by_id_and_name(
        self, bench: Bench
    ) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        began = datetime.now(UTC)
        told: list[int] = []
        submission = bench.submission("fi-0001")
        remote_id = await adapter.submit(submission, told.append)
        assert told == sorted(told)
        by_link = adapter.capabilities.input_links
        sent = 0 if by_link else sum(item.size_bytes for item in submission.files)
        assert (told or [0])[-1] == sent
        status = await adapter.status(remote_id)
        assert status.remote_id == remote_id
        assert status.state in OPEN
        assert status.detailed
        assert status.reason is None
        assert await bench.count_named("fi-0001") == 1
        if bench.hides_jobs:
            with pytest.raises(SearchInconclusive):
                await adapter.find_by_name("fi-0001", began)
            return
        (found,) = await adapter.find_by_name("fi-0001", began)
        assert found.remote_id == remote_id
        assert await adapter.find_by_name("fi-000", began) == []
        assert await adapter.find_by_name("fi-0001", began + timedelta(hours=3)) == []

    async def test_submit_when_the_answer_is_lost_then_doubtful_and_found(
        self, bench: Bench
    ) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        began = datetime.now(UTC)
        await bench.lose_next_answer()
        with pytest.raises(DoubtfulSubmission):
            await adapter.submit(bench.submission("fi-lost"), _ignore)
        if bench.hides_jobs:
            with pytest.raises(SearchInconclusive):
                await bench.open(bench.good).find_by_name("fi-lost", began)
            assert await bench.count_named("fi-lost") == 1
            return
        (found,) = await bench.open(bench.good).find_by_name("fi-lost", began)
        assert (await adapter.status(found.remote_id)).state in OPEN
        assert await bench.count_named("fi-lost") == 1

    async def test_submit_when_the_credential_is_bad_then_rejected_and_no_job(
        self, bench: Bench
    ) -> None:
        for credential in (bench.bad, None):
            with pytest.raises(CredentialRejected):
                await bench.open(credential).submit(bench.submission("fi-bad"), _ignore)
        assert await bench.count_named("fi-bad") == 0

    async def test_submit_when_it_asks_for_what_is_not_offered_then_rejected_and_no_job(
        self, bench: Bench
    ) -> None:
        adapter = bench.open(bench.good)
        good = bench.submission("fi-odd")
        for odd in (
            replace(good, panel_key="no-such-panel"),
            replace(good, population="no-such-population"),
            replace(good, build="hg17"),
            replace(good, phasing="no-such-engine"),
            replace(good, options={"no-such-option": "1"}),
        ):
            with pytest.raises(Rejected) as caught:
                await adapter.submit(odd, _ignore)
            assert caught.value.reason
        assert await bench.count_named("fi-odd") == 0

    async def test_submit_when_the_service_is_down_then_held_and_no_job(self, bench: Bench) -> None:
        await bench.break_down()
        with pytest.raises(ServiceUnavailable):
            await bench.open(bench.good).submit(bench.submission("fi-down"), _ignore)
        await bench.mend()
        assert await bench.count_named("fi-down") == 0

    # Following --------------------------------------------------------------------------------------------------------

    async def test_status_many_when_asked_then_the_same_as_one_by_one(self, bench: Bench) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        ids = [await adapter.submit(bench.submission(f"fi-{n}"), _ignore) for n in range(3)]
        await bench.force(ids[1], RemoteState.CANCELLED)
        await bench.force(ids[2], RemoteState.FAILED)
        seen = dict(await adapter.status_many([*ids, bench.unknown_id]))
        unknown = seen.pop(bench.unknown_id, None)
        assert unknown is None or unknown.state is RemoteState.MISSING
        assert set(seen) == set(ids)
        for remote_id in ids:
            alone = await adapter.status(remote_id)
            assert seen[remote_id].remote_id == remote_id
            assert (seen[remote_id].state in OPEN) == (alone.state in OPEN)
            if alone.state not in OPEN:
                assert seen[remote_id].state is alone.state
        active = await adapter.count_active()
        assert active in {None, 1}

    async def test_status_when_the_job_is_unknown_then_gone_or_missing(self, bench: Bench) -> None:
        seen = await bench.open(bench.good).status(bench.unknown_id)
        assert seen.state in {RemoteState.GONE, RemoteState.MISSING}

    async def test_status_when_the_remote_moves_then_the_common_word(self, bench: Bench) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        assert {RemoteState.FAILED, RemoteState.CANCELLED} <= bench.ends
        for state in sorted(bench.ends):
            remote_id = await adapter.submit(bench.submission(f"fi-{state}"), _ignore)
            await bench.force(remote_id, state)
            assert (await adapter.status(remote_id)).state is state

    async def test_cancel_when_open_then_it_stops_when_unknown_then_not_found(
        self, bench: Bench
    ) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        remote_id = await adapter.submit(bench.submission("fi-1"), _ignore)
        await adapter.cancel(remote_id)
        assert (await adapter.status(remote_id)).state is RemoteState.CANCELLED
        await adapter.cancel(remote_id)
        with pytest.raises(RemoteNotFound):
            await adapter.cancel(bench.unknown_id)

    async def test_restart_when_dead_then_open_again_else_rejected(self, bench: Bench) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        remote_id = await adapter.submit(bench.submission("fi-1"), _ignore)
        with pytest.raises(Rejected):
            await adapter.restart(remote_id)
        if adapter.capabilities.restart:
            await bench.force(remote_id, RemoteState.DEAD)
            await adapter.restart(remote_id)
            assert (await adapter.status(remote_id)).state in OPEN

    # Results ----------------------------------------------------------------------------------------------------------

    async def test_results_when_finished_then_listed_without_cost_and_fetched_whole(
        self, bench: Bench
    ) -> None:
        adapter = bench.open(bench.good)
        submission = bench.submission("fi-1")
        remote_id = await adapter.submit(submission, _ignore)
        await bench.finish(remote_id)
        assert (await adapter.status(remote_id)).state is RemoteState.SUCCEEDED
        outputs = await adapter.outputs(remote_id)
        assert [item.key for item in await adapter.outputs(remote_id)] == [
            item.key for item in outputs
        ]
        assert [item.downloads_left for item in await adapter.outputs(remote_id)] == [
            item.downloads_left for item in outputs
        ]
        assert len({item.key for item in outputs}) == len(outputs)
        assert {item.role for item in outputs} <= {"result", "qc", "log"}
        assert any(item.role == "result" for item in outputs)
        for item in outputs:
            assert item.address not in repr(item)
            told: list[int] = []
            sink = MemorySink()
            await adapter.download(item, sink, submission.archive_password, told.append)
            files = sink.whole()
            assert files
            assert len(sink.threads) == 1
            assert told == sorted(told)
            _check_names(files)
        left = {item.key: item.downloads_left for item in await adapter.outputs(remote_id)}
        for item in outputs:
            assert item.downloads_left is None or left[item.key] == item.downloads_left - 1

    async def test_results_when_the_password_is_another_then_rejected(self, bench: Bench) -> None:
        adapter = bench.open(bench.good)
        remote_id = await adapter.submit(bench.submission("fi-1"), _ignore)
        await bench.finish(remote_id)
        if not adapter.capabilities.archive_password:
            for item in await adapter.outputs(remote_id):
                if item.archive:
                    await adapter.download(item, MemorySink(), "fi-any-password", _ignore)
            return
        item = next(item for item in await adapter.outputs(remote_id) if item.archive)
        with pytest.raises(Rejected):
            await adapter.download(item, MemorySink(), "fi-another-password-here", _ignore)

    async def test_outputs_when_the_job_is_unknown_then_not_found(self, bench: Bench) -> None:
        with pytest.raises(RemoteNotFound):
            await bench.open(bench.good).outputs(bench.unknown_id)

    # Trouble ----------------------------------------------------------------------------------------------------------

    async def test_every_call_when_the_service_is_down_then_unavailable_without_secrets(
        self, bench: Bench
    ) -> None:
        await bench.hold_jobs()
        adapter = bench.open(bench.good)
        remote_id = await adapter.submit(bench.submission("fi-1"), _ignore)
        await bench.break_down()
        adapter = bench.open(bench.good)
        now = datetime.now(UTC)
        for call in (
            adapter.verify_credential,
            adapter.describe,
            adapter.health,
            lambda: adapter.status(remote_id),
            lambda: adapter.status_many([remote_id]),
            lambda: adapter.find_by_name("fi-1", now),
            lambda: adapter.outputs(remote_id),
            lambda: adapter.cancel(remote_id),
        ):
            with pytest.raises(ServiceUnavailable) as caught:
                await call()
            _check_reason(caught.value, bench)
        await bench.mend()
        assert (await adapter.status(remote_id)).state in OPEN

    async def test_every_call_when_the_credential_is_refused_then_said_so_without_it(
        self, bench: Bench
    ) -> None:
        await bench.hold_jobs()
        remote_id = await bench.open(bench.good).submit(bench.submission("fi-1"), _ignore)
        adapter = bench.open(bench.bad)
        for call in (
            lambda: adapter.status(remote_id),
            lambda: adapter.status_many([remote_id]),
            lambda: adapter.cancel(remote_id),
            lambda: adapter.outputs(remote_id),
        ):
            with pytest.raises(CredentialRejected) as caught:
                await call()
            _check_reason(caught.value, bench)
        assert (await bench.open(bench.good).status(remote_id)).state in OPEN


def _check_names(files: Mapping[str, bytes]) -> None:
    for name in files:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert name.isprintable()


def _check_reason(error: AdapterError, bench: Bench) -> None:
    assert error.reason
    assert error.reason.isprintable() or "\n" in error.reason
    for credential in (bench.good, bench.bad):
        for secret in (credential.token, credential.password):
            assert not secret or secret not in error.reason
