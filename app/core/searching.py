"""What follows when a search for a remote job found nothing. Pure.

A search is conclusive where the service shows all jobs of the account. Only as many conclusive ones, in a row and some time apart,
as the service's kind needs allow to send a job again; as many that prove nothing hand the decision to the job's owner, and from
then on nothing but their word does.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    """What to do next."""

    LOOK_AGAIN = auto()
    SEND_AGAIN = auto()
    """The service does not have the job."""
    ASK_OWNER = auto()
    """Nobody but a person can tell."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The counts after a search, and what they come to."""

    verdict: Verdict
    searches: int
    doubts: int


def after_empty_search(searches: int, doubts: int, needed: int, *, is_conclusive: bool) -> Searched:
    """Judge a search that found nothing, after `searches` conclusive ones in a row and `doubts` others; `needed` is the kind's."""
    if is_conclusive:
        searches += 1
    else:
        searches, doubts = 0, doubts + 1
    if doubts >= needed:
        return Searched(Verdict.ASK_OWNER, searches, doubts)
    if searches >= needed:
        return Searched(Verdict.SEND_AGAIN, searches, doubts)
    return Searched(Verdict.LOOK_AGAIN, searches, doubts)


def undecided(service: str, *, was_used: bool) -> str:
    """Say that a job may be running; `was_used` when its links were used since it was sent."""
    doubt = f"The job may be running at {service}: no clear answer came when it was sent, and {service} cannot show all its runs"
    if was_used:
        doubt += (
            ". Its input was fetched, or a result pushed, since then: the run very probably exists"
        )
    return f"{doubt}. Say which run it is, or have it sent again if there is none; until then it is searched for every hour"
