"""Targets under attack: whatever they say is judged before the file is read, and nothing is left of what is refused."""

import asyncio
import json
from typing import Any

import pytest

from app.usecases import batches, creation
from app.usecases.deps import Deps
from tests.adversarial.conftest import MIB
from tests.adversarial.forms import start
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import END, connect, field, file
from tests.core.test_targets import NOT_TARGETS, WRONG
from tests.support.api import Api
from tests.support.batches import submit_batch, target
from tests.support.jobs import Desk, genotypes, make_desk, stored_paths
from tests.support.people import Person


def attacks(desk: Desk, other: Desk) -> dict[str, tuple[str, int, str]]:
    """Give what is sent, and what is answered."""
    good = target(desk)
    found = {what: (text, 400, "invalid_targets") for what, text in NOT_TARGETS.items()}
    for what, (change, code, _) in WRONG.items():
        found[what] = (json.dumps([good, {**target(other), **change}]), 400, code)
    return found | {
        "10,000 targets": (json.dumps([{}] * 10_000), 400, "too_many_targets"),
        "eleven targets": (json.dumps([good] * 11), 400, "too_many_targets"),
        "twice the same": (json.dumps([good, good]), 400, "repeated_target"),
        "more than a field holds": (json.dumps([{**good, "name": "x" * 70_000}]), 413, "too_large"),
        "a service that is not": (json.dumps([good, {**good, "service_id": 10**17}]), 404, "service_not_found"),
        "another's panel": (
            json.dumps([{**good, "reference_panel_id": other.panel.id}]), 400, "unknown_panel",
        ),
        "NUL": (json.dumps([{**good, "population": "a\0b"}]), 400, "unknown_population"),
        "a name that escapes": (json.dumps([{**good, "__class__": {}}]), 400, "unknown_field"),
    }  # fmt: skip


@pytest.mark.parametrize("order", ["before the file", "after the file"])
async def test_targets_when_they_cannot_be_right_then_are_refused_as_early_as_they_are_known(
    base: str, deps: Deps, alice: Person, desk: Desk, order: str
) -> None:
    other = await make_desk(deps, alice)
    for what, (text, status, code) in attacks(desk, other).items():
        targets = field("build", "hg19") + field("targets", text)
        async with leaves_nothing(deps), connect(base) as wire:
            if order == "before the file":  # of which not a byte is sent
                body = targets + file(b"")[:-2]
                await wire.send(start(alice, len(body) + 50 * MIB) + body)
            else:
                body = file(genotypes()) + targets + END
                await wire.send(start(alice, len(body)) + body)
            told = refused(await wire.answer(limit_s=2), status, code, about=what)
        assert "x" * 100 not in str(told)


async def test_targets_when_one_has_no_credential_then_says_so_before_the_file(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    bare = await make_desk(deps, None, name="H3Africa Imputation Service")
    body = field("build", "hg19") + field("targets", json.dumps([target(desk), target(bare)]))
    body += file(b"")[:-2]
    async with leaves_nothing(deps), connect(base) as wire:
        await wire.send(start(alice, len(body) + 50 * MIB) + body)
        told = refused(await wire.answer(limit_s=0.9), 400, "no_credentials")
    assert (told["target"], told["service_id"]) == (1, bare.service.id)
    assert "H3Africa Imputation Service" in told["message"]


async def test_targets_when_they_stand_twice_then_is_refused(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    text = json.dumps([target(desk)])
    body = field("targets", text) * 2 + file(genotypes()) + END
    async with leaves_nothing(deps), connect(base) as wire:
        await wire.send(start(alice, len(body)) + body)
        refused(await wire.answer(), 400, "repeated_field")


async def test_batch_when_something_breaks_between_its_jobs_then_nothing_is_left(
    client: Api, deps: Deps, alice: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [
        target(desk),
        target(await make_desk(deps, alice)),
        target(await make_desk(deps, alice)),
    ]
    count = 0

    async def break_at_the_third(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise ConnectionResetError
        return await creation.create_job(*args)

    monkeypatch.setattr(batches, "create_job", break_at_the_third)
    key = {"Idempotency-Key": "k"}
    async with leaves_nothing(deps):
        assert (await submit_batch(client, alice, targets, headers=key)).status == 503
    assert (await submit_batch(client, alice, targets, headers=key)).status == 201


async def test_batch_when_its_client_goes_away_then_all_of_it_is_there_or_nothing(
    base: str, deps: Deps, alice: Person, desk: Desk
) -> None:
    targets = json.dumps([target(desk), target(await make_desk(deps, alice))])
    body = field("build", "hg19") + field("targets", targets) + file(genotypes()) + END
    for pause_s in (0.0, 0.002, 0.005, 0.01, 0.02, 0.04):
        async with connect(base) as wire:
            await wire.send(start(alice, len(body)) + body)
            await asyncio.sleep(pause_s)
            wire.reset()
    async with asyncio.timeout(10):
        while await deps.pool.fetchval("select count(*) from upload_reservations"):
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    made = int(await deps.pool.fetchval("select count(*) from batches"))
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 2 * made
    assert await deps.pool.fetchval("select count(*) from files") == made
    assert len(await stored_paths(deps)) == made
