"""What a user should look at, and how soon: the rules of the dashboard's list of things to do. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType

from app.core.expiry import HORIZON
from app.core.jobs import Stage
from app.core.models import StoredCredential

RESULTS_HORIZON = timedelta(days=14)
"""Results that are deleted within this time are worth a look."""
FAILURES_LOOK_BACK = timedelta(days=14)
"""A failure that nobody looked at for longer is no news any more."""


class Urgency(IntEnum):
    """What comes first."""

    NOW = 0
    """Work stands still until somebody acts."""
    SOON = 1
    """It will stand still, or something will be gone."""
    WHEN_YOU_CAN = 2


HELD: Mapping[Stage, Urgency] = MappingProxyType(
    {
        Stage.CREDENTIAL_NEEDED: Urgency.NOW,
        Stage.DECISION_NEEDED: Urgency.NOW,
        Stage.RESULTS_BLOCKED: Urgency.SOON,
        Stage.REMOTE_DEAD: Urgency.SOON,
        Stage.WAITING_TOO_LONG: Urgency.WHEN_YOU_CAN,
    }
)
"""The stages in which a job waits for its owner, or for so long that its owner should know."""


class Ailment(StrEnum):
    """What is wrong with a stored credential."""

    REJECTED = "rejected"
    EXPIRED = "expired"
    EXPIRING = "expiring"


def ailment_of(credential: StoredCredential, now: datetime) -> Ailment | None:
    """Say what is wrong with a credential that is in use; None for one that is well, or put aside."""
    if not credential.is_active:
        return None
    if credential.expires_at is not None and credential.expires_at <= now:
        return Ailment.EXPIRED
    if credential.rejected_at is not None:
        return Ailment.REJECTED
    if credential.expires_at is not None and credential.expires_at <= now + HORIZON:
        return Ailment.EXPIRING
    return None
