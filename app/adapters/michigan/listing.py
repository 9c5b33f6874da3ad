"""The account's own list of jobs.

`GET /api/v2/jobs?page=N` gives 15 rows, newest first; without `page` it gives all jobs that the account ever had. Jobs that
are looked for are nearly always among the newest, so a few pages are read first: a page costs the server one bounded
query, the whole list one row per job of years. Only when the pages do not suffice is the whole list read, once: it is the
only answer that is complete at one moment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.adapters import loose
from app.adapters.answers import Answer, off_loop
from app.adapters.base import RemoteJob, RemoteState, ServiceUnavailable
from app.adapters.michigan.client import Client
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.michigan.statuses import STATES, id_of, name_of

MAX_PAGES = 4
_MAX_ROWS = 100_000
CLOCK_MARGIN = timedelta(hours=1)

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer; `last` says that no older jobs follow."""

    rows: list[Row]
    last: bool


async def read_page(client: Client, number: int | None) -> Page:
    """Read one page, or with None the whole list. Raises `NotSpoken` for anything but a list of jobs."""
    query = {"page": str(number)} if number is not None else None
    answer = await client.call("jobs", query=query)
    return await off_loop(len(answer.body), lambda: _page_of(answer.json(), number, client.host))


async def read_until(client: Client, enough: Callable[[Sequence[Row]], bool]) -> list[Row]:
    """Read newest first until `enough(rows so far)`, the end, or `MAX_PAGES`; in the last case read the whole list."""
    rows: dict[str, Row] = {}
    for number in range(1, MAX_PAGES + 1):
        page = await read_page(client, number)
        for row in page.rows:
            rows.setdefault(str(row["id"]), row)
        if page.last or enough(list(rows.values())):
            return list(rows.values())
    return (await read_page(client, None)).rows


async def find_named(client: Client, name: str, since: datetime) -> list[RemoteJob]:
    """Give the jobs called `name`, newest first, submitted after `since` less an hour of clock skew.

    A job is also known by the name in the `User-Agent` it was sent with, which the server keeps. The server's clock is
    read from `currentTime`; where a row does not tell when it was submitted, it counts as new.
    """

    def is_old(row: Row) -> bool:
        submitted = submitted_at(row)
        return submitted is not None and submitted < since - CLOCK_MARGIN

    def enough(rows: Sequence[Row]) -> bool:
        return all(is_old(row) for row in rows[-10:])

    rows = await read_until(client, enough)
    named = [row for row in rows if _is_named(row, name) and not is_old(row)]
    return sorted(
        (_remote_job(row) for row in named),
        key=lambda job: (job.submitted_at or datetime.max.replace(tzinfo=UTC), job.remote_id),
        reverse=True,
    )


def named_in(
    answer: Answer, name: str, since: datetime, states: Mapping[str, RemoteState]
) -> list[RemoteJob]:
    """Give the jobs called `name` out of a list of any likely shape; nothing where the answer is no list."""
    try:
        parsed = answer.json()
    except ServiceUnavailable:
        return []
    page = loose.as_dict(parsed)
    rows = parsed if isinstance(parsed, list) else page.get("data", page.get("jobs"))
    found = []
    for row in loose.dicts(rows, _MAX_ROWS):
        submitted = loose.as_time(row.get("created_at", row.get("submittedOn")))
        if (
            id_of(row) is None
            or not _is_named(row, name)
            or (submitted is not None and submitted < since - CLOCK_MARGIN)
        ):
            continue
        word = str(row.get("status", row.get("state"))).lower()
        found.append(
            RemoteJob(id_of(row) or "", name, submitted, states.get(word, RemoteState.UNKNOWN))
        )
    return found


def submitted_at(row: Mapping[str, object]) -> datetime | None:
    """Give when a job was submitted, by our clock: shifted by what the server's clock differs from ours."""
    submitted = loose.as_time(row.get("submittedOn"))
    theirs = loose.as_time(row.get("currentTime"))
    if submitted is None or theirs is None:
        return submitted
    return submitted + (datetime.now(UTC) - theirs)


def _page_of(parsed: object, number: int | None, host: str) -> Page:
    """Read cloudgene3 `PageResponse`; old servers and documents have the bare array."""
    if isinstance(parsed, list):
        data, last = parsed, True
    elif isinstance(parsed, dict) and isinstance(parsed.get("data"), list):
        data, last = parsed["data"], number is None or _is_last(parsed, number)
    else:
        raise NotSpoken(f"{host} answered with something that is not a list of jobs.")
    rows = [row for row in loose.dicts(data, _MAX_ROWS) if id_of(row) is not None]
    if data and not rows:
        raise NotSpoken(f"{host} answered with a list of things that are not jobs.")
    return Page(rows, last or not rows)


def _is_last(page: Mapping[str, object], number: int) -> bool:
    count, size = loose.as_int(page.get("count")), loose.as_int(page.get("pageSize"))
    if count is not None and size:
        return number * size >= count
    return not page.get("next")


def _is_named(row: Mapping[str, object], name: str) -> bool:
    agent = row.get("userAgent")
    return row.get("name") == name or (isinstance(agent, str) and name in agent.split())


def _remote_job(row: Mapping[str, object]) -> RemoteJob:
    state = STATES.get(loose.as_int(row.get("state")) or 0, RemoteState.UNKNOWN)
    return RemoteJob(id_of(row) or "", name_of(row), submitted_at(row), state)
