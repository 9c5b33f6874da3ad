"""Where a job stands, in words for its owner: what happens now, what follows, whether anything is to be done, how long it takes. Pure.

`WORDS` is the table: by stage where a job has one, else by status. `{…}` are facts of the job and its service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from app.core.jobs import Stage, Status
from app.core.models import Job


class WayOut(StrEnum):
    """What a person can press to help a job."""

    CREDENTIAL = "credential"
    """Store a working credential for the service."""
    DECIDE = "decide"
    """Say which run it is, or that there is none."""
    RETRY = "retry"
    """The same once more, from the stored input."""
    CHANGE = "change"
    """A new job with other settings, or a mended file."""
    CANCEL = "cancel"
    """Stop it."""
    NONE = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands. `todo` is empty where its owner need not do anything; `pace` says how long, as far as that is known."""

    headline: str
    now: str
    then: str
    todo: str = ""
    pace: str = ""
    way_out: WayOut = WayOut.NONE


_S, _P = Stage, Status
WORDS: Mapping[Stage | Status, Standing] = MappingProxyType(
    {
        _P.PENDING: Standing(
            "Being received",
            "Your files are being stored and checked.",
            "As soon as they are whole, the job is queued.",
        ),
        _P.QUEUED: Standing(
            "Queued",
            "Your files are stored and checked.",
            "They are sent to {service} next.",
            pace="This usually takes seconds.",
        ),
        _P.RUNNING: Standing(
            "Being worked on",
            "The job is being worked on.",
            "What {service} makes of it appears here by itself.",
        ),
        _S.WAITING_FOR_SLOT: Standing(
            "Waiting for a free slot",
            "{service} takes only so many jobs of one account at a time. {place}",
            "It is sent by itself as soon as a slot is free.",
            pace="We look {every}.",
        ),
        _S.SERVICE_UNAVAILABLE: Standing(
            "Waiting for {service}",
            "{service} does not answer or is in maintenance. Your job is safe here.",
            "It goes on by itself as soon as the service is back.",
            pace="We keep trying, with growing pauses of 15 minutes at most.",
        ),
        _S.CREDENTIAL_NEEDED: Standing(
            "Your credential is needed",
            "{service} wants a credential, and no working one of yours is stored.",
            "The job goes on by itself, right where it stopped, as soon as one is.",
            todo="Store a working credential for {service}.",
            way_out=WayOut.CREDENTIAL,
        ),
        _S.SUBMITTING: Standing(
            "Sending to {service}",
            "Your files are being sent to {service}{where}.",
            "There the job joins the service's own queue.",
            pace="How long depends on the size of your files: {size}.",
        ),
        _S.CONFIRMING_SUBMISSION: Standing(
            "Making sure that it arrived",
            "The answer of {service} got lost. We look whether the job is there before anything is sent twice.",
            "If it is there, it goes on; if not, it is sent again.",
            pace="This takes a few minutes at most.",
        ),
        _S.DECISION_NEEDED: Standing(
            "Your decision is needed",
            "The job may be running at {service}, which cannot show all its runs. To be safe, it is not sent a second time.",
            "We go on looking every hour, and nothing else happens until it is found or you decide.",
            todo="Look at {service} yourself, then say here whether the job runs there.",
            way_out=WayOut.DECIDE,
        ),
        _S.REMOTE_QUEUE: Standing(
            "In the queue of {service}",
            "{service} has the job and lets it wait its turn. {place}",
            "It starts there by itself, and its results come here by themselves.",
            pace="We look {every}. Public services can let jobs wait for hours, at busy times for days.",
        ),
        _S.REMOTE_RUNNING: Standing(
            "Running at {service}",
            "{service} works on it. {step}",
            "When it is done, its results are fetched, decrypted and verified by themselves.",
            pace="We look {every}.",
        ),
        _S.DOWNLOADING: Standing(
            "Fetching the results",
            "{service} has finished. Its results are being fetched, decrypted and verified.",
            "Then they are here to download and to plot.",
            pace="How long depends on their size; usually minutes.",
        ),
        _S.RESULTS_BLOCKED: Standing(
            "The results cannot be fetched now",
            "{service} has finished, and its results cannot be had at the moment.",
            "We keep trying by ourselves.",
            todo="See the reason below: where it names somebody, only they can help.",
            pace="{next_try}",
        ),
        _S.REMOTE_DEAD: Standing(
            "{service} was restarted",
            "The service was restarted while the job was there, and lost its hold on it.",
            "It is asked to start the job again; once it does, everything goes on by itself.",
            pace="We look {every}.",
        ),
        _S.WAITING_TOO_LONG: Standing(
            "Waiting for unusually long",
            "{service} has let the job wait since {since}, longer than usual. {place}",
            "It goes on waiting, and starts by itself when its turn comes.",
            todo="Nothing, if you have time. Otherwise cancel it and choose another service.",
            pace="We look {every}.",
            way_out=WayOut.CANCEL,
        ),
        _S.CANCELLING: Standing(
            "Being cancelled",
            "{service} is being asked to stop the job.",
            "It ends here once the service confirms that it has stopped.",
            pace="Usually seconds; a service that does not answer is asked for a week.",
        ),
        _P.COMPLETED: Standing(
            "The results are here",
            "{service} has finished. Every result was fetched, decrypted and verified.",
            "They are kept here {kept}.",
        ),
        _P.FAILED: Standing(
            "The job failed",
            "It ended without results.",
            "Nothing more happens by itself.",
            way_out=WayOut.RETRY,
        ),
        _P.CANCELLED: Standing(
            "The job was cancelled",
            "It was stopped; no results were kept.",
            "Nothing more happens. You can run it again at any time.",
        ),
    }
)
_FETCHING_REPORTS = Standing(
    "Fetching the reports",
    "{service} could not finish the job. What it reports about that is being fetched.",
    "Then the job ends, and the reason stands here.",
    pace="Usually seconds.",
)
_PARTLY_HELD = Standing(
    "The results are ready, some at the service",
    "{service} has finished. Some of its results stayed there; those that it hands out were fetched and verified.",
    "What was fetched is kept here {kept}.",
    todo="Fetch the files listed under «Still at the service» there.",
)
_ALL_HELD = Standing(
    "The results are ready at the service",
    "{service} has finished and does not hand its results out to this platform.",
    "Nothing more happens here.",
    todo="Fetch them there; where they are stands under «Still at the service».",
)
_GONE = Standing(
    "Completed; the results are no longer stored",
    "The job completed, and the time for which its results were kept here is over.",
    "To have them again, run the job again.",
    way_out=WayOut.RETRY,
)

FAILED_BECAUSE: Mapping[str, str] = MappingProxyType(
    {
        "strand_flips": "Too many of its variants are given on the other strand than in the panel.",
        "allele_switches": "In too many of its variants REF and ALT are swapped against the panel.",
        "no_chunks_left": "Too little of the input fits the panel: no region was left to impute.",
        "wrong_build": "The input is not in the build that was chosen.",
        "unknown_population": "The panel does not have the population that was chosen.",
        "several_chromosomes": "A file of the input holds more than one chromosome.",
        "unphased_input": "The genotypes are not phased, and no phasing was asked for.",
        "doubled_samples": "Some samples have the same name.",
        "unequal_samples": "The input files do not hold the same samples.",
        "malformed_input": "{service} could not read the input.",
        "panel_unavailable": "{service} does not offer this panel to your account.",
        "sample_count": "{service} does not take this number of samples.",
        "unsupported_chromosome": "The panel does not have this chromosome.",
        "chromosome_x_ploidy": "The ploidy of some samples on chromosome X does not fit.",
        "credential_rejected": "{service} did not accept your credential.",
        "rejected_by_service": "{service} did not take the job.",
        "results_gone": "{service} no longer has the job or its results.",
        "lost_at_service": "{service} has lost the job.",
        "submission_unclear": "{service} never said clearly whether it took the job.",
        "input_gone": "Its input is no longer stored.",
        "secret_unreadable": "The platform could not open the password of its results.",
        "remote_failure": "{service} could not finish the job.",
    }
)
"""Why a job failed, by its error code; in other words than the service's own, which stand beside it."""

_CREDENTIAL_CODES = frozenset({"credential_rejected", "no_credentials"})
_CHANGE_CODES = frozenset(
    {
        "strand_flips", "allele_switches", "no_chunks_left", "wrong_build", "unknown_population", "several_chromosomes",
        "unphased_input", "doubled_samples", "unequal_samples", "malformed_input", "panel_unavailable", "sample_count",
        "unsupported_chromosome", "chromosome_x_ploidy", "rejected_by_service", "input_gone", "panel_gone",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the words need beside the job."""

    service: str
    country: str = ""
    every: str = ""
    """Such as «every 30 s»."""
    size: str = ""
    since: str = ""
    next_try: str = ""
    kept: str = ""
    """Such as «until 1 May 2027»."""


def standing(job: Job, around: Surroundings, *, has_results: bool = True) -> Standing:
    """Say where a job stands. `has_results`: of a completed one, files are stored here."""
    chosen = _choose(job, has_results=has_results)
    facts = {
        "service": around.service,
        "where": f" ({around.country})" if around.country else "",
        "every": around.every or "again and again",
        "size": around.size or "they are being counted",
        "since": around.since,
        "next_try": around.next_try or "The next try comes within hours.",
        "kept": around.kept or "until you delete the job",
        "place": _place(job),
        "step": f"Its step now: {job.remote_step}." if job.remote_step else "",
    }
    told = {
        item.name: " ".join(getattr(chosen, item.name).format_map(facts).split())
        for item in fields(chosen)
        if item.name != "way_out"
    }
    return Standing(**told, way_out=chosen.way_out)


def way_out_of(job: Job) -> WayOut:
    """Give what helps a job that failed: the same again where the trouble was the service's, a change where it was the input."""
    if job.error_code in _CREDENTIAL_CODES:
        return WayOut.CREDENTIAL
    return WayOut.CHANGE if job.error_code in _CHANGE_CODES else WayOut.RETRY


def _choose(job: Job, *, has_results: bool) -> Standing:
    if job.is_final or job.stage is None:
        if job.status is not Status.COMPLETED:
            return _ended(job)
        if job.results_held:
            return _PARTLY_HELD if has_results else _ALL_HELD
        return WORDS[job.status] if has_results else _GONE
    if job.stage is Stage.DOWNLOADING and job.outcome == "failed":
        return _FETCHING_REPORTS
    return WORDS[job.stage]


def _ended(job: Job) -> Standing:
    told = WORDS[job.status]
    because = FAILED_BECAUSE.get(job.error_code or "")
    return told if because is None else replace(told, now=because)


def _place(job: Job) -> str:
    ahead = job.queue_position
    if ahead is None:
        return ""
    if ahead == 0:
        return "Yours is the next."
    return "1 job is ahead of it." if ahead == 1 else f"{ahead} jobs are ahead of it."


def waits_for(job: Job, now: datetime) -> float | None:
    """Give in how many seconds the platform turns to an open job again by itself, where that is known."""
    if job.is_final or job.next_action_at is None:
        return None
    return max(0.0, (job.next_action_at - now).total_seconds())
