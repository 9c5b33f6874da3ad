"""What can be made to go wrong: named switches, changeable while the server runs."""

import random
from dataclasses import dataclass, field, fields
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Faults:
    """Every switch off means a healthy server. ``*_n`` strike the next n times, ``*_p`` with that chance.

    HTTP, on the paths of both dialects (``only`` narrows that to a prefix, such as ``/ga4gh/``)
        maintenance: 503 everywhere but at ``/api/v2/server``, which says ``maintenace: true``.
        reject_all: 401, 403 or 500 to everything.
        answer: instead of the real answer a proxy's HTML 502, garbage, endless JSON (up to 1 GiB),
            nothing at all, or a redirect of the call to ``redirect_api_to``.
        delay_s: wait before each answer.
        drop_answer: do the work, then close the connection without an answer.
    Submission
        drop_submit: close the connection before the body is read; no job.
        lose_submit_answer: the job is made and queued, then the connection is closed.
        fail_submit_after: the run is made and queued, then 500 is answered (WES).
        submit_hangs_s: the run is made and queued, the answer comes only after so long (WES).
        revoked_submit_hangs_s: a submission with a replaced token gets no answer for so long.
        quota: overrides the configured number of open jobs per user.
    Life of a job
        wait_s, run_s, export_s: least time in the states 1, 2 and 3.
        rows_delay_s: time between state 4 and the download rows (None: as configured).
        job_error: the job fails in the QC with this trouble, as the servers word it.
        job_dies: instead of running it becomes -1, as after a restart of the server.
        notify_at_once: 4 becomes 8 (5 and 6 become 9) as soon as the rows are there.
        retire_at_once: the job becomes 7 as soon as it ended.
        vanish_at_end: the job answers 404 as soon as it ended.
        cancel_race: after a cancel polls read 6, then 5, then 6 again.
        cancel_ignored: a cancel is answered, and the job goes on.
    What a WES server tells of its runs
        wes_missing: a look at a run answers 404, as if it were not there yet.
        wes_unlisted: the list leaves out the runs that are not COMPLETE, or all.
        wes_short_list: the list has ids and states alone, as in WES 1.0.
        wes_drop_tags: tags are not kept.
    Results
        wrong_password: archives are made with another password than the one asked for.
        broken_zip: archives are cut in the middle before they are offered.
        evil_zip: archives hold a member that climbs out of its folder, or a bomb.
        wrong_md5: published checksums are those of other bytes.
        truncate_download: the transfer breaks in the middle.
        counter_exhausted: every download answers that its number is used up.
        redirect_downloads_to: 301 to that base URL (``self`` = this server under the name
            ``localhost``), where the file is served bare, with length and ranges and no counter.
        download_bytes_per_s: slow transfers; 0 = as fast as it goes.
    """

    only: str = "/"
    maintenance: bool = False
    reject_all: Literal[0, 401, 403, 500] = 0
    answer: Literal["", "html_502", "garbage_json", "endless_json", "empty", "redirect"] = ""
    redirect_api_to: str = "http://localhost:9"
    delay_s: float = 0.0
    drop_answer_p: float = 0.0
    drop_answer_n: int = 0
    drop_submit_p: float = 0.0
    drop_submit_n: int = 0
    lose_submit_answer_p: float = 0.0
    lose_submit_answer_n: int = 0
    fail_submit_after_p: float = 0.0
    fail_submit_after_n: int = 0
    submit_hangs_s: float = 0.0
    revoked_submit_hangs_s: float = 0.0
    quota: int | None = None
    wait_s: float = 0.0
    run_s: float = 0.0
    export_s: float = 0.0
    rows_delay_s: float | None = None
    job_error: Literal["", "strand_flips", "allele_switches", "no_chunks", "phasing"] = ""
    job_dies: bool = False
    notify_at_once: bool = False
    retire_at_once: bool = False
    vanish_at_end: bool = False
    cancel_race: bool = False
    cancel_ignored: bool = False
    wes_missing_p: float = 0.0
    wes_missing_n: int = 0
    wes_unlisted: Literal["", "open", "all"] = ""
    wes_short_list: bool = False
    wes_drop_tags: bool = False
    wrong_password: bool = False
    broken_zip: bool = False
    evil_zip: Literal["", "slip", "bomb"] = ""
    wrong_md5: bool = False
    truncate_download_p: float = 0.0
    truncate_download_n: int = 0
    counter_exhausted: bool = False
    redirect_downloads_to: str = ""
    download_bytes_per_s: int = 0
    seed: int = 1

    @property
    def cuts_downloads(self) -> bool:
        """Whether transfers of results are cut or slow."""
        return bool(
            self.truncate_download_n or self.truncate_download_p or self.download_bytes_per_s
        )


NAMES = frozenset(f.name for f in fields(Faults))


def parse_faults(values: object, base: Faults) -> Faults:
    """``base`` with the given switches changed.

    Raises:
        ValueError: not an object, an unknown switch, or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ValueError("a JSON object of switches is wanted")  # noqa: TRY004 - one error for bad input
    unknown = sorted(set(values) - NAMES)
    if unknown:
        raise ValueError(f"unknown switches: {', '.join(map(str, unknown))}")
    current = {name: getattr(base, name) for name in NAMES}
    try:
        return msgspec.convert({**current, **values}, Faults)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


@dataclass(slots=True)
class FaultBox:
    """The switches in force, with what is left of the counted ones and one seeded source of chance."""

    faults: Faults
    _left: dict[str, int] = field(init=False, default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.replace(self.faults)

    def replace(self, faults: Faults) -> None:
        """Put other switches in force; counts and chance start anew."""
        self.faults = faults
        self._left = {n: getattr(faults, n) for n in NAMES if n.endswith("_n")}
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable chance is the point

    def strikes(self, fault: str) -> bool:
        """Whether ``fault`` (a name without ``_n``/``_p``) strikes this time; uses up one of its count."""
        if self._left[f"{fault}_n"] > 0:
            self._left[f"{fault}_n"] -= 1
            return True
        chance: float = getattr(self.faults, f"{fault}_p")
        return chance > 0 and self._random.random() < chance

    def as_json(self) -> dict[str, object]:
        """The switches by name; counted ones show what is left."""
        return {
            f.name: self._left.get(f.name, getattr(self.faults, f.name)) for f in fields(Faults)
        }
