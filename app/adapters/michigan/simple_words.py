"""The simple dialect's words: its form filled, its answers read. Pure.

It is the contract of the platform's original design, for gateways that were built to it: one file for each job, fixed words for states,
and one plain archive of results. It describes no form, so what may be chosen stands in the service's configuration.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from app.adapters import loose
from app.adapters.base import Choice, Panel, Rejected, RemoteMessage, RemoteState, Submission
from app.adapters.base import RemoteStatus as Status
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.text import clean, clean_line

FILE_FIELD = "input-files"
BUILDS = ("hg19", "hg38")
PHASINGS = ("eagle", "shapeit", "no_phasing")
MODES = ("imputation", "qc_only")
POPULATIONS = ("AFR", "AMR", "EAS", "EUR", "SAS", "ALL")
_NO_PHASING = "no_phasing"
_FALLBACKS = ("mixed", "all", "off")
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}\.vcf\.gz")

STATES: Mapping[str, RemoteState] = {
    "waiting": RemoteState.WAITING,
    "queued": RemoteState.WAITING,
    "pending": RemoteState.WAITING,
    "running": RemoteState.RUNNING,
    "success": RemoteState.SUCCEEDED,
    "complete": RemoteState.SUCCEEDED,
    "completed": RemoteState.SUCCEEDED,
    "error": RemoteState.FAILED,
    "failed": RemoteState.FAILED,
    "canceled": RemoteState.CANCELLED,
    "cancelled": RemoteState.CANCELLED,
}
"""The words of the original design, and the spellings near them."""


class SimplePanel(msgspec.Struct, frozen=True, kw_only=True):
    """A panel that a gateway takes. Without populations, those of the original design."""

    name: Annotated[str, msgspec.Meta(title="Name of the panel")]
    populations: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            title="Populations of the panel",
            description="As the gateway takes them; one that means all is left out.",
        ),
    ] = POPULATIONS
    builds: Annotated[
        tuple[str, ...],
        msgspec.Meta(title="Builds of the panel", description="Of the panel itself, where known."),
    ] = ()


PANELS: Mapping[str, SimplePanel] = {
    "h3africa": SimplePanel(name="H3Africa Reference Panel"),
    "1000g_afr": SimplePanel(name="1000 Genomes - African Subset"),
    "agvp": SimplePanel(name="African Genome Variation Project"),
}
"""Those of the original design, where the configuration names no others."""


def panels_of(configured: Mapping[str, SimplePanel]) -> tuple[Panel, ...]:
    """Give the panels of a service."""
    return tuple(
        Panel(
            key=key,
            name=panel.name,
            populations=tuple(Choice(name, name) for name in panel.populations),
            builds=panel.builds,
        )
        for key, panel in (configured or PANELS).items()
    )


def fill(submission: Submission, panels: Sequence[Panel]) -> list[tuple[str, str]]:
    """Give the text fields. Raises `Rejected`, with the choices named, for what the dialect cannot say."""
    if len(submission.files) != 1:
        raise Rejected("The service takes one file for each job: send one job for each chromosome.")
    if not _FILE_NAME.fullmatch(submission.files[0].name):
        raise Rejected("Input files must have plain names that end in .vcf.gz.")
    if submission.options:
        raise Rejected("The service takes no options.")
    panel = next((item for item in panels if item.key == submission.panel_key), None)
    if panel is None:
        raise _unknown("reference panel", submission.panel_key, [item.key for item in panels])
    mode = (submission.mode or "imputation").replace("qconly", "qc_only")
    fields = [
        ("refpanel", panel.key),
        ("build", _one_of("build", submission.build, BUILDS)),
        ("phasing", _one_of("phasing", _engine(submission.phasing), PHASINGS)),
        ("mode", _one_of("mode", mode, MODES)),
    ]
    population = _population(submission.population, [item.key for item in panel.populations])
    return [*fields, ("population", population)] if population else fields


def read_status(said: Mapping[str, object], remote_id: str, secrets: Sequence[str]) -> Status:
    """Read the answer about a job: `{id, status, progress, message}`. Raises `NotSpoken` where it is something else."""
    word = said.get("status", said.get("state"))
    told = said.get("id", said.get("job_id", remote_id))
    if not isinstance(word, str) or told != remote_id:
        raise NotSpoken("The service answered with something that is not a job's state.")
    state = STATES.get(word.strip().lower(), RemoteState.UNKNOWN)
    words = clean(said.get("message"), limit=2000, secrets=secrets)
    failed = state is RemoteState.FAILED
    level = "error" if failed else "running" if state is RemoteState.RUNNING else "ok"
    return Status(
        remote_id=remote_id,
        state=state,
        raw=clean_line(word, limit=50) or "?",
        progress=share_of(said.get("progress")) if state is RemoteState.RUNNING else None,
        reason=(words or None) if failed else None,
        messages=(RemoteMessage("Job", level, words),) if words else (),
        results_expire_at=loose.as_time(said.get("expires_at")),
    )


def share_of(progress: object) -> float | None:
    """Give the share that is done out of a percentage, as a number or as `"45%"`."""
    if isinstance(progress, str):
        progress = loose.as_int(progress.strip().removesuffix("%"))
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return progress / 100 if 0 <= progress <= 100 else None


def missing(remote_id: str) -> Status:
    """Give the status of a job that the gateway does not know: a word that has to last before it is believed."""
    return Status(remote_id=remote_id, state=RemoteState.MISSING, raw="404")


def _engine(asked: bool | str) -> str:
    if isinstance(asked, bool):
        return PHASINGS[0] if asked else _NO_PHASING
    return asked


def _population(asked: str | None, listed: Sequence[str]) -> str | None:
    """Give the listed code. The field is optional: what means «all of them» is left out where it is not listed."""
    for name in listed:
        if asked is not None and name.lower() == asked.lower():
            return name
    if asked is None or asked.lower() in _FALLBACKS:
        return None
    raise _unknown("population", asked, listed)


def _one_of(what: str, asked: str, listed: Sequence[str]) -> str:
    if asked.lower() not in listed:
        raise _unknown(what, asked, listed)
    return asked.lower()


def _unknown(what: str, asked: str, listed: Sequence[str]) -> Rejected:
    named = clean_line(asked, limit=60)
    return Rejected(
        f"The service does not offer the {what} {named}. It offers: {', '.join(listed)}."
    )
