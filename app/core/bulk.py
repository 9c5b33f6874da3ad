"""What may be done to many jobs at once, and which of them it does not fit. Pure; doing it is each job's own use case."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from app.core.jobs import TERMINAL, Status


class Act(StrEnum):
    """What people do to jobs they have chosen."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Rule:
    """When an act fits a job, why it does not fit the others, and what will happen to those it fits."""

    wants_final: bool
    refusal: str
    effect: str
    is_destructive: bool


RULES: Mapping[Act, Rule] = MappingProxyType(
    {
        Act.CANCEL: Rule(
            wants_final=False,
            refusal="It has ended already.",
            effect="It is stopped here and at the service. What it has computed so far is lost.",
            is_destructive=True,
        ),
        Act.RETRY: Rule(
            wants_final=True,
            refusal="It has not ended yet. Cancel it before you retry it.",
            effect="A new job like it is made from its stored input.",
            is_destructive=False,
        ),
        Act.DELETE: Rule(
            wants_final=True,
            refusal="It has not ended yet. Cancel it before you delete it.",
            effect="It is forgotten, with its results, reports and every file that no other job uses.",
            is_destructive=True,
        ),
    }
)


def refusal_of(act: Act, status: Status) -> str | None:
    """Say why an act does not fit a job in this status; None where it fits."""
    rule = RULES[act]
    return None if (status in TERMINAL) == rule.wants_final else rule.refusal
