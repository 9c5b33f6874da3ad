"""How things look in words, icons and colours: one table each, so that a status is the same on every page.

Tones are those of `static/css/app.css`: neutral, info, active, good, bad, warn. Icons are Lucide's names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.core.batches import BatchStatus
from app.core.jobs import Stage, Status


@dataclass(frozen=True, slots=True)
class Look:
    """A word, its icon and its tone. `hint` says more in one sentence, where there is more to say."""

    word: str
    icon: str
    tone: str
    hint: str = ""


STATUS: Mapping[str, Look] = MappingProxyType(
    {
        Status.PENDING: Look("Pending", "circle-dashed", "neutral", "Being received."),
        Status.QUEUED: Look("Queued", "clock", "info", "Waits for its turn."),
        Status.RUNNING: Look("Running", "loader-circle", "active", "Being worked on."),
        Status.COMPLETED: Look("Completed", "circle-check", "good", "Results are here."),
        Status.FAILED: Look("Failed", "circle-x", "bad", "Ended without results."),
        Status.CANCELLED: Look("Cancelled", "ban", "neutral", "Stopped on request."),
    }
)
STAGE: Mapping[str, Look] = MappingProxyType(
    {
        Stage.WAITING_FOR_SLOT: Look(
            "Waiting for a slot",
            "hourglass",
            "info",
            "The service takes only so many jobs of one account at a time. It goes on by itself.",
        ),
        Stage.SERVICE_UNAVAILABLE: Look(
            "Service unavailable",
            "cloud-off",
            "warn",
            "The service does not answer. We keep trying; nothing is lost.",
        ),
        Stage.CREDENTIAL_NEEDED: Look(
            "Credential needed",
            "key-round",
            "warn",
            "Held until you store a working credential for the service.",
        ),
        Stage.SUBMITTING: Look("Submitting", "upload", "active", "Your file is being sent."),
        Stage.CONFIRMING_SUBMISSION: Look(
            "Confirming submission",
            "search",
            "info",
            "The answer got lost. We look whether the service has the job before anything is sent again.",
        ),
        Stage.DECISION_NEEDED: Look(
            "Decision needed",
            "circle-question-mark",
            "warn",
            "The service cannot tell whether it has this job. Only you can find out.",
        ),
        Stage.REMOTE_QUEUE: Look(
            "In the service's queue", "clock", "info", "The service has it and lets it wait."
        ),
        Stage.REMOTE_RUNNING: Look(
            "Running at the service", "loader-circle", "active", "The service works on it."
        ),
        Stage.DOWNLOADING: Look(
            "Fetching results",
            "download",
            "active",
            "Results are being fetched, decrypted and verified.",
        ),
        Stage.RESULTS_BLOCKED: Look(
            "Results blocked",
            "lock",
            "warn",
            "The results exist and cannot be fetched now. We keep trying.",
        ),
        Stage.REMOTE_DEAD: Look(
            "Service restarted",
            "circle-pause",
            "warn",
            "The service restarted and lost its hold on the job.",
        ),
        Stage.WAITING_TOO_LONG: Look(
            "Waiting for long",
            "hourglass",
            "warn",
            "It has waited for unusually long and goes on waiting. Cancel it if you no longer want it.",
        ),
        Stage.CANCELLING: Look(
            "Cancelling", "ban", "warn", "The service is being asked to stop it."
        ),
    }
)
BATCH: Mapping[str, Look] = MappingProxyType(
    {
        BatchStatus.OPEN: Look("Going on", "loader-circle", "active"),
        BatchStatus.COMPLETED: Look("Completed", "circle-check", "good"),
        BatchStatus.FAILED: Look("Failed", "circle-x", "bad"),
        BatchStatus.MIXED: Look("Partly completed", "circle-alert", "warn"),
        BatchStatus.CANCELLED: Look("Cancelled", "ban", "neutral"),
    }
)
HEALTH: Mapping[str, Look] = MappingProxyType(
    {
        "up": Look("Up", "circle-check", "good"),
        "down": Look("Down", "circle-x", "bad"),
        "maintenance": Look("Maintenance", "wrench", "warn"),
        "unknown": Look("Not checked yet", "circle-dashed", "neutral"),
    }
)

DONE: Mapping[str, str] = MappingProxyType(
    {
        "signed-out": "You are signed out.",
        "password-changed": "Your password is changed. Every other sign-in has ended.",
        "saved": "Saved.",
        "batch-cancelling": "The open jobs of this batch are being cancelled.",
        "batch-retried": "A new batch is on its way. The former one stays as it ended.",
        "batch-deleted": "The batch is deleted, with its jobs.",
    }
)
"""What a page says after something was done: `?done=<key>`. Nothing else of the address is ever shown."""
