"""A job as the sandbox keeps it, in memory and on disk."""

import secrets
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from app.sandbox.engine.model import Group


class State(IntEnum):
    """States by Cloudgene's numbers (``AbstractJob``)."""

    DEAD = -1  # the server restarted while the job was open; waits for a restart
    WAITING = 1
    RUNNING = 2
    EXPORTING = 3
    SUCCESS = 4
    FAILED = 5
    CANCELED = 6
    RETIRED = 7  # the files are gone
    SUCCESS_NOTIFIED = 8  # successful, and the date of deletion is set
    FAILED_NOTIFIED = 9  # failed or cancelled, and the date of deletion is set
    DELETED = 10  # answers like a job that never was


OPEN = frozenset({State.WAITING, State.RUNNING, State.EXPORTING})
ENDED = frozenset({State.SUCCESS, State.FAILED, State.CANCELED})
NOTIFIED = {
    State.SUCCESS: State.SUCCESS_NOTIFIED,
    State.FAILED: State.FAILED_NOTIFIED,
    State.CANCELED: State.FAILED_NOTIFIED,
}


class Message(msgspec.Struct):
    """A message of a step. ``label``: the progress bar that it is, if it is one."""

    text: str
    level: int = 0
    label: str = ""


class Step(msgspec.Struct):
    name: str
    messages: list[Message] = []


class ResultFile(msgspec.Struct):
    """A file to download: the hash is its secret, ``left`` how often it may still be fetched."""

    name: str
    hash: str
    size: int
    left: int


class WesRequest(msgspec.Struct, kw_only=True):
    """What makes a job a run of the WES dialect.

    request: what was sent, as the run shows it. urls: input to fetch before the engine starts.
    push_url: where the results go, if anywhere. staging: whether input is being fetched now.
    """

    request: dict[str, Any]
    tags: dict[str, str] = {}
    urls: list[str] = []
    push_url: str = ""
    staging: bool = False


class Job(msgspec.Struct, kw_only=True):
    """A job. Times are epoch milliseconds; 0 = not yet, -1 = unset, as on the wire.

    inputs: the form as submitted, for the log. unlisted: too long a name kept it out of the real
    server's database: it is not listed, and is lost once it ends (cloudgene3 ``JobDao.insert``).
    rows: whether the download rows exist. ended_as: the first final state.
    wes: only in jobs that came by the WES dialect; the Cloudgene dialect does not know them.
    """

    id: str
    number: int
    user: str
    name: str
    application: str
    application_id: str
    user_agent: str
    submitted_on: int
    inputs: dict[str, str]
    files: list[str]
    output_hash: str = msgspec.field(default_factory=lambda: secrets.token_hex(20))
    state: State = State.WAITING
    started_on: int = 0
    ended_on: int = 0
    deleted_on: int = -1
    steps: list[Step] = []
    results: list[ResultFile] = []
    rows: bool = False
    unlisted: bool = False
    log: list[str] = []
    ended_as: State | None = None
    wes: WesRequest | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the API answers as if there were no such job."""
        return self.state == State.DELETED

    def open_steps(self) -> None:
        """The four steps, empty, as the server makes them when the job starts."""
        self.steps = [Step(name=group.value) for group in Group]

    def find_result(
        self, *, name: str | None = None, digest: str | None = None
    ) -> ResultFile | None:
        """The result file of that name or that hash."""
        for result in self.results:
            if result.name == name or result.hash == digest:
                return result
        return None


class Folders:
    """Where a job's files lie."""

    def __init__(self, root: Path, job_id: str) -> None:
        self.root = root / job_id
        self.input = self.root / "input"
        self.output = self.root / "output"
        self.scratch = self.root / "scratch"
        self.record = self.root / "job.json"
