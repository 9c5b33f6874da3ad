"""The list of runs, and finding a run whose id was lost.

Some servers call the list `workflows`. Fewer rows than asked for are not the end, only an empty token is; some give a token for ever
(cwl-WES), so an empty page and a repeated token end it too, and a number of pages bounds it.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from yarl import URL

from app.adapters import loose
from app.adapters.answers import Answer, off_loop, raise_for_status
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    RemoteJob,
    RemoteNotFound,
    SearchInconclusive,
    ServiceUnavailable,
)
from app.adapters.text import clean_line
from app.adapters.wes.client import Client, is_run_id
from app.adapters.wes.dialects import TRAITS
from app.adapters.wes.reasons import strings_in
from app.adapters.wes.statuses import state_of
from app.adapters.wes.template import names_in

PAGE_SIZE = 100
MAX_PAGES = 200
MAX_DETAILS = 400
CLOCK_MARGIN = timedelta(hours=1)
_AT_ONCE = 8
_MAX_ROWS = 100_000
_WORD = re.compile(r"[A-Za-z0-9._-]+")

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the list, and how far the server's clock is ahead of ours, as its `Date` header tells."""

    rows: list[Row]
    whole: bool
    ahead: timedelta = timedelta()


async def read(client: Client, query: Mapping[str, str] | None = None) -> Rows:
    """Read the whole list, with bounds. Raises as `Client`, and `ServiceUnavailable` for anything but a list of runs."""
    base = {"page_size": str(PAGE_SIZE), **(query or {})}
    rows: dict[str, Row] = {}
    token, seen, again = "", {""}, False
    ahead = timedelta()
    for _ in range(MAX_PAGES):
        asked = {**base, "page_token": token} if token else base
        answer = await client.call("GET", "runs", query=asked)
        if answer.status == 400 and (token or "page_size" in base) and not again:
            # Tokens die when sapporo restarts, and not every server takes a page size.
            again, token, seen = True, "", {""}
            base.pop("page_size", None)
            rows.clear()
            continue
        raise_for_list(client, answer)
        ahead = _ahead(answer)
        page, token = await off_loop(len(answer.body), lambda answer=answer: _page(answer))  # type: ignore[misc] # bound early on purpose
        for row in page:
            rows.setdefault(str(row["run_id"]), row)
        if not page or token in seen or len(rows) > _MAX_ROWS:
            return Rows(list(rows.values()), len(rows) <= _MAX_ROWS, ahead)
        seen.add(token)
    return Rows(list(rows.values()), False, ahead)


def raise_for_list(client: Client, answer: Answer) -> None:
    """Raise what a status of a list stands for: one that is not there means another program, not a lost run."""
    try:
        raise_for_status(answer, client.secrets)
    except RemoteNotFound as error:
        raise ServiceUnavailable(error.reason) from error


async def states(client: Client) -> dict[str, str]:
    """Give the state of every run that the list shows."""
    found = await read(client)
    return {
        str(row["run_id"]): clean_line(row.get("state"), limit=40) or "UNKNOWN"
        for row in found.rows
    }


async def find_named(client: Client, name: str, since: datetime) -> list[RemoteJob]:
    """Give the runs that were sent as `name`, newest first. Raises `SearchInconclusive` where nothing is found and that
    proves nothing.
    """
    search = TRAITS[await client.dialect()].search
    if search == "none":
        raise SearchInconclusive(
            f"{client.host} keeps nothing by which a run could be found again."
        )
    if search == "extension" and (rows := await _extension(client)) is not None:
        return _newest_first(
            [_job(row, name, rows) for row in rows.rows if _is_named(row, name)], since
        )
    query = _tag_query(client, name) if search == "tags" else None
    rows = await read(client, query)
    named = [row for row in rows.rows if _is_named(row, name)]
    if named or search == "tags":
        if not named and query is None:
            return await _by_details(client, rows, name, since, is_complete=True)
        return _newest_first([_job(row, name, rows) for row in named], since)
    return await _by_details(client, rows, name, since, is_complete=search == "details")


async def _by_details(
    client: Client, rows: Rows, name: str, since: datetime, *, is_complete: bool
) -> list[RemoteJob]:
    """Read each run whose row does not tell, and look for the name in its request."""
    is_tagged = any("job_id" in names_in(text) for text in client.config.tags.values())
    asked = [
        row
        for row in rows.rows
        if not (is_tagged and _tells(row)) and not _is_old(row, since, rows)
    ]
    phantoms = TRAITS[await client.dialect()].phantoms
    gate = asyncio.Semaphore(_AT_ONCE)
    unread = len(asked) > MAX_DETAILS or not rows.whole

    async def one(row: Row) -> Row | AdapterError:
        async with gate:
            try:
                answer = await client.call("GET", "runs", str(row["run_id"]))
            except AdapterError as error:
                return error
            try:
                raise_for_status(answer, client.secrets)
                return {**row, **await off_loop(len(answer.body), answer.object)}
            except RemoteNotFound:
                return {}
            except ServiceUnavailable as error:
                # A run that was only ever asked about has no request to show, and never ends (wes-service).
                is_phantom = phantoms and answer.status == 500 and row.get("state") == "RUNNING"
                return {} if is_phantom else error
            except AdapterError as error:
                return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(row)) for row in asked[:MAX_DETAILS]]
    seen = [task.result() for task in tasks]
    found = [row for row in seen if isinstance(row, dict) and _is_named(row, name)]
    if found:
        return _newest_first([_job(row, name, rows) for row in found], since)
    errors = [item for item in seen if isinstance(item, AdapterError)]
    for error in errors:
        if isinstance(error, CredentialRejected):
            raise error
    if errors or unread or not is_complete:
        raise SearchInconclusive(
            f"{client.host} does not show all runs, so a run may be there although none was found."
        )
    return []


async def _extension(client: Client) -> Rows | None:
    """Read WESkit's own list, which shows each run with its whole request; None where there is no such list."""
    root = client.endpoint.root
    if not root.endswith("/ga4gh/wes/v1"):
        return None
    answer = await client.at(
        "GET", URL(f"{root.removesuffix('/ga4gh/wes/v1')}/weskit/v1/runs", encoded=True)
    )
    if answer.status in {404, 405}:
        return None
    raise_for_status(answer, client.secrets)
    parsed = await off_loop(len(answer.body), answer.json)
    if isinstance(parsed, dict):
        parsed = next((parsed[key] for key in ("runs", "workflows", "data") if key in parsed), None)
    if not isinstance(parsed, list):
        return None
    rows = [
        {**row, "run_id": run_id, "state": row.get("state") or row.get("run_status")}
        for row in loose.dicts(parsed, _MAX_ROWS)
        if is_run_id(run_id := row.get("run_id") or row.get("id"))
    ]
    return Rows(rows, True, _ahead(answer))


def _page(answer: Answer) -> tuple[list[Row], str]:
    said = answer.object()
    listed = said.get("runs") if "runs" in said else said.get("workflows")
    if listed is None and not {"runs", "workflows"} & said.keys():
        raise ServiceUnavailable(
            f"{answer.host} answered with something that is not a list of runs."
        )
    rows = [row for row in loose.dicts(listed, _MAX_ROWS) if is_run_id(row.get("run_id"))]
    return rows, loose.as_text(said.get("next_page_token")) or ""


def _tag_query(client: Client, name: str) -> dict[str, str] | None:
    """Give sapporo's filter, by the tag that holds the job's name; None where no tag does."""
    key = next((key for key, text in client.config.tags.items() if text == "{job_id}"), None)
    return {"tags": f"{key}:{name}"} if key else None


def _tells(row: Mapping[str, object]) -> bool:
    """Say whether a row shows tags, and with them that it is another job's, where ours name the job."""
    return bool(loose.as_dict(row.get("tags")))


def _is_named(row: Mapping[str, object], name: str) -> bool:
    """Say whether a run's request mentions the name as a whole word: in a tag, or in a parameter."""
    request = loose.as_dict(row.get("request")) or row
    places = (row.get("tags"), request.get("tags"), request.get("workflow_params"))
    return any(name in _WORD.findall(text) for place in places for text in strings_in(place))


def _job(row: Mapping[str, object], name: str, rows: Rows) -> RemoteJob:
    return RemoteJob(str(row["run_id"]), name, _started(row, rows), state_of(row.get("state")))


def _newest_first(jobs: Sequence[RemoteJob], since: datetime) -> list[RemoteJob]:
    """Sort; a run that does not tell when it started counts as new."""
    last = datetime.max.replace(tzinfo=UTC)
    young = [
        job for job in jobs if job.submitted_at is None or job.submitted_at >= since - CLOCK_MARGIN
    ]
    return sorted(young, key=lambda job: (job.submitted_at or last, job.remote_id), reverse=True)


def _is_old(row: Mapping[str, object], since: datetime, rows: Rows) -> bool:
    started = _started(row, rows)
    return started is not None and started < since - CLOCK_MARGIN


def _started(row: Mapping[str, object], rows: Rows) -> datetime | None:
    """Give when a run began, by our clock. A time without a zone is local somewhere (WESkit), and says nothing."""
    text = row.get("start_time") or loose.as_dict(row.get("run_log")).get("start_time")
    if not isinstance(text, str) or not re.search(r"(Z|[+-]\d\d:?\d\d)$", text.strip()):
        return None
    found = loose.as_time(text)
    with suppress(OverflowError):
        return found - rows.ahead if found is not None else None
    return None


def _ahead(answer: Answer) -> timedelta:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return timedelta()
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    return theirs - datetime.now(UTC)
