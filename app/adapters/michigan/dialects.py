"""The members of the family as a table: what differs between them is data here. Facts: docs/adapters.md.

Told apart by signs of their own: `GET /api/v2/server` names `oauth` in version 3 alone (cloudgene3 `ServerService.getRoot`, cloudgene 2
`Server`), and the JSON of a job has `complete`, `running` and `progress` in version 2 alone (`JSONConverter`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.adapters.base import Capabilities, ServiceUnavailable

Name = Literal["cloudgene3", "cloudgene2", "simple"]
Choice = Literal["auto", "cloudgene", "cloudgene3", "cloudgene2", "simple"]
"""What `api_config.dialect` may be; `cloudgene` is either generation, told by its answers."""
OPEN: frozenset[Choice] = frozenset({"auto", "cloudgene"})
"""Choices that leave the generation to be found out."""

_JOB_SIGNS = frozenset({"complete", "running", "progress"})


class NotSpoken(ServiceUnavailable):
    """Raised for an answer that no server of the configured dialect gives: something else lives at that address."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One member of the family."""

    name: Name
    title: str
    capabilities: Capabilities


CLOUDGENE3 = Dialect(
    "cloudgene3",
    "Cloudgene 3",
    Capabilities(list_jobs=True, restart=True, archive_password=True),
)
CLOUDGENE2 = Dialect(
    "cloudgene2",
    "Cloudgene 2",
    # Its `RestartJob` wants a login, not an API token.
    Capabilities(list_jobs=True, restart=False, archive_password=True),
)
SIMPLE = Dialect(
    "simple",
    "the simple dialect",
    # No call for cancelling is described: a gateway without one must not hold a cancelled job for a week.
    Capabilities(list_jobs=False, restart=False, archive_password=False, cancel_wait_s=3600.0),
)
DIALECTS: Mapping[str, Dialect] = {item.name: item for item in (CLOUDGENE3, CLOUDGENE2, SIMPLE)}


def of_server(page: Mapping[str, object]) -> Dialect:
    """Tell by the front page of data which Cloudgene answers."""
    return CLOUDGENE3 if "oauth" in page else CLOUDGENE2


def of_job(job: Mapping[str, object]) -> Dialect:
    """Tell by a job's JSON which Cloudgene answers."""
    return CLOUDGENE2 if len(_JOB_SIGNS & job.keys()) >= 2 else CLOUDGENE3


def mismatch(configured: str, seen: Dialect) -> tuple[str, ...]:
    """Give the warning for an administrator whose configuration names another dialect than the one that answers."""
    if configured in OPEN or configured == seen.name:
        return ()
    return (
        f"The service is configured as {DIALECTS[configured].title}, but {seen.title} answers: set api_config.dialect to {seen.name} or auto.",
    )
