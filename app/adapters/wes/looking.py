"""Looking at runs: `/runs/{id}/status` alone until the end is seen, details only then.

An answer that is none (5xx, a proxy's page, nothing) is `ServiceUnavailable`. 400 and 404 in the server's own words say that it
does not know the run, or cannot load it yet: MISSING, of which the engine makes something only when it lasts. Two servers need
another look: WESkit answers 500 for a run it does not know, and wes-service makes a run of every id it is asked about.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.adapters.answers import Answer, error_of, off_loop
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    RemoteNotFound,
    RemoteState,
    RemoteStatus,
    ServiceUnavailable,
)
from app.adapters.wes import listing
from app.adapters.wes.client import Client, is_run_id, json_object
from app.adapters.wes.dialects import TRAITS
from app.adapters.wes.reasons import reason_for
from app.adapters.wes.statuses import missing, read_status, state_of

AT_ONCE = 8


async def look(
    client: Client, run_id: str, listed: Mapping[str, str] | None = None
) -> RemoteStatus:
    """Look at one run. `listed` are the states of all runs, where a list was read already. Raises as `base.Adapter`."""
    if not is_run_id(run_id):
        return missing(run_id, "not an id")
    traits = TRAITS[await client.dialect()]
    if traits.phantoms:
        known = listed if listed is not None else await listing.states(client)
        if run_id not in known:
            return missing(run_id, "not listed")
    answer = await client.call("GET", "runs", run_id, "status")
    if answer.status == 500 and traits.unknown_is_500:
        return await _look_in_list(client, run_id, answer)
    status = _judged(client, answer, run_id)
    if status.state is RemoteState.FAILED:
        return replace(status, reason=await _reason(client, run_id, status.raw))
    return status


async def look_at_many(client: Client, run_ids: Sequence[str]) -> dict[str, RemoteStatus]:
    """Look at many runs, a few at a time. A look that failed is UNKNOWN where another taught something, else it is raised."""
    wanted = list(dict.fromkeys(run_ids))
    if not wanted:
        return {}
    phantoms = TRAITS[await client.dialect()].phantoms
    listed = await listing.states(client) if phantoms else None
    gate = asyncio.Semaphore(AT_ONCE)
    trouble: list[AdapterError] = []

    async def one(run_id: str) -> RemoteStatus:
        async with gate:
            if len(trouble) >= AT_ONCE and len(trouble) > answered[0]:
                # The service does not answer: each further run would only wait as long.
                return RemoteStatus(run_id, RemoteState.UNKNOWN, "no answer", detailed=False)
            try:
                status = await look(client, run_id, listed)
            except AdapterError as error:
                trouble.append(error)
                return RemoteStatus(run_id, RemoteState.UNKNOWN, "no answer", detailed=False)
            answered[0] += 1
            return status

    answered = [0]
    async with asyncio.TaskGroup() as group:
        tasks = {run_id: group.create_task(one(run_id)) for run_id in wanted}
    if trouble and not answered[0]:
        raise next((e for e in trouble if isinstance(e, CredentialRejected)), trouble[0])
    return {run_id: task.result() for run_id, task in tasks.items()}


async def ensure_known(client: Client, run_id: str) -> None:
    """Raise `RemoteNotFound` for what is no run, where it is the asking itself that would make one (wes-service)."""
    if not is_run_id(run_id):
        raise RemoteNotFound("This cannot be a run of the service.")
    if TRAITS[await client.dialect()].phantoms and run_id not in await listing.states(client):
        raise RemoteNotFound(f"{client.host} does not list this run.")


async def run_with_outputs(client: Client, run_id: str) -> dict[str, object]:
    """Read an object whose `outputs` are those of the run: the whole run, or, where the server has it, the list alone.

    sapporo puts the engine's whole output into the run, which is too large to be read where an engine is loud.
    """
    if TRAITS[await client.dialect()].own_outputs:
        answer = await client.call("GET", "runs", run_id, "outputs")
        said = json_object(answer) if answer.status == 200 else None
        if said is not None and isinstance(said.get("outputs"), list):
            return said
    return await run_log(client, run_id)


async def run_log(client: Client, run_id: str) -> dict[str, object]:
    """Read `/runs/{id}`. Raises `ServiceUnavailable` for whatever is not this run's, and what a status stands for."""
    answer = await client.call("GET", "runs", run_id)
    if not 200 <= answer.status < 300:
        error = error_of(answer, client.secrets)
        if answer.status == 400 or (answer.status in {404, 410} and json_object(answer) is None):
            raise ServiceUnavailable(error.reason)
        raise error
    said = await off_loop(len(answer.body), answer.object)
    if said.get("run_id", run_id) != run_id or not {"run_id", "state"} & said.keys():
        raise ServiceUnavailable("The service answered with something else than the run.")
    return said


def _judged(client: Client, answer: Answer, run_id: str) -> RemoteStatus:
    if 200 <= answer.status < 300:
        return read_status(answer.object(), run_id)
    error = error_of(answer, client.secrets)
    if answer.status in {400, 404, 410, 422}:
        if json_object(answer) is not None or not answer.body.strip():
            return missing(run_id, str(answer.status))
        # A page of a proxy, or of another program at that address: it says nothing about the run.
        raise ServiceUnavailable(error.reason)
    if isinstance(error, CredentialRejected | ServiceUnavailable):
        raise error
    raise ServiceUnavailable(error.reason)


async def _look_in_list(client: Client, run_id: str, answer: Answer) -> RemoteStatus:
    """Tell an unknown run from a broken server: the list works, and the run is not in it."""
    try:
        known = await listing.states(client)
    except CredentialRejected:
        raise
    except AdapterError:
        raise error_of(answer, client.secrets) from None
    if run_id not in known:
        return missing(run_id, "500")
    return RemoteStatus(run_id, state_of(known[run_id]), known[run_id], detailed=False)


async def _reason(client: Client, run_id: str, raw: str) -> str:
    """Give the failure in the run's own words; a run whose details cannot be read has at least its state."""
    try:
        return await reason_for(client, await run_log(client, run_id), run_id, raw)
    except AdapterError:
        return raw
