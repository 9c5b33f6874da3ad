"""How things look in words, icons and colours: one table each, so that a status is the same on every page.

Tones are those of `static/css/app.css`: neutral, info, active, good, bad, warn. Icons are Lucide's names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.core.batches import BatchStatus
from app.core.jobs import Stage, Status
from app.core.phases import Mark, Phase


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
PHASE: Mapping[str, Look] = MappingProxyType(
    {
        Phase.RECEIVED: Look("Received and checked", "file-check", "neutral"),
        Phase.WAITING: Look("Waiting for its turn", "hourglass", "neutral"),
        Phase.SENDING: Look("Sending", "upload", "neutral"),
        Phase.AT_SERVICE: Look("At the service", "server", "neutral"),
        Phase.FETCHING: Look("Fetching results", "download", "neutral"),
        Phase.DONE: Look("Done", "circle-check", "neutral"),
    }
)
MARK: Mapping[str, Look] = MappingProxyType(
    {
        Mark.OVER: Look("over", "check", "good"),
        Mark.NOW: Look("now", "loader-circle", "active"),
        Mark.HELD: Look("held", "pause", "warn"),
        Mark.STOPPED: Look("ended here", "x", "bad"),
        Mark.COMING: Look("to come", "circle-dashed", "neutral"),
        Mark.NEVER: Look("not reached", "minus", "neutral"),
    }
)
MESSAGE: Mapping[str, Look] = MappingProxyType(
    {
        "ok": Look("Well", "circle-check", "good"),
        "warning": Look("Notice", "triangle-alert", "warn"),
        "error": Look("Error", "circle-x", "bad"),
        "running": Look("Running", "loader-circle", "active"),
    }
)
"""What a service says, or our check of the input, by its level."""
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

CREDENTIAL: Mapping[str, Look] = MappingProxyType(
    {
        "missing": Look(
            "Setup required", "key-round", "warn", "Jobs cannot be sent there without one."
        ),
        "shared": Look("Shared", "users", "info", "An administrator lends you a credential here."),
        "unconfirmed": Look(
            "Confirm the address",
            "triangle-alert",
            "warn",
            "The service has moved. The credential is not used until you say that it may go there.",
        ),
        "disabled": Look("Not in use", "circle-pause", "neutral", "Kept, and not used."),
        "rejected": Look(
            "Rejected",
            "circle-x",
            "bad",
            "The service no longer takes it. Jobs wait until you store another.",
        ),
        "untested": Look("Not tested", "circle-dashed", "info", "Test it before you rely on it."),
        "verified": Look("Verified", "circle-check", "good", "The service took it."),
    }
)
"""How a user stands with a service that asks for a credential (`app.usecases.standing`)."""
DIALECTS: Mapping[str, str] = MappingProxyType(
    {"michigan": "Michigan Imputation Server type", "ga4gh_wes": "GA4GH WES"}
)
"""What a kind of service is called, by its `api_type`."""
NOTICES: Mapping[str, Look] = MappingProxyType(
    {
        "job_queued": Look("Queued", "clock", "info"),
        "job_running": Look("Running", "loader-circle", "info"),
        "job_completed": Look("Results ready", "circle-check", "good"),
        "job_failed": Look("Failed", "circle-x", "bad"),
        "job_cancelled": Look("Cancelled", "ban", "neutral"),
        "job_waiting_too_long": Look("Waiting for long", "hourglass", "warn"),
        "credential_needed": Look("Credential needed", "key-round", "warn"),
        "decision_needed": Look("Decision needed", "circle-question-mark", "warn"),
        "results_blocked": Look("Results blocked", "lock", "warn"),
        "credential_expiring": Look("Credential ends soon", "key-round", "warn"),
        "credential_expired": Look("Credential expired", "key-round", "bad"),
        "credential_rejected": Look("Credential rejected", "key-round", "bad"),
    }
)
"""Notices by their type."""

DONE: Mapping[str, str] = MappingProxyType(
    {
        "signed-out": "You are signed out.",
        "password-changed": "Your password is changed. Every other sign-in has ended.",
        "saved": "Saved.",
        "job-cancelling": "The job is being cancelled.",
        "job-ended": "The job had already ended. Nothing was changed.",
        "job-deleted": "The job and the files that only it used are deleted.",
        "job-retried": "This is the new job. The former one stays as it ended.",
        "job-retried-before": "The job was tried again a moment ago: this is that new job. No second one was made.",
        "job-adopted": "The run is found. The job goes on from there.",
        "job-resubmitted": "The job is sent again.",
        "job-decided": "The job no longer waits for a decision. Nothing was changed.",
        "registered": "Welcome. A link to confirm your e-mail address is on its way.",
        "email-confirmed": "Thank you. Your e-mail address is confirmed.",
        "email-pending": "Saved. A link to confirm the new address is on its way; until then the old one counts.",
        "user-added": "The account is made.",
        "user-invited": "The account is made. A link to choose a password is on its way.",
        "user-changed": "The account is changed. Every sign-in of it has ended.",
        "link-sent": "A link to choose a new password is on its way.",
        "credential-saved": "The credential is stored, encrypted.",
        "credential-deleted": "The credential is deleted.",
        "credential-tested": "The service was asked; its answer stands below.",
        "all-read": "All notifications are marked as read.",
        "file-deleted": "The file is deleted.",
        "batch-cancelling": "The open jobs of this batch are being cancelled.",
        "batch-retried": "A new batch is on its way. The former one stays as it ended.",
        "batch-deleted": "The batch is deleted, with its jobs.",
        "service-added": "The service is added.",
        "service-deleted": "The service is deleted.",
        "service-checked": "The service was asked; its answer stands below.",
        "service-enabled": "The service is switched on.",
        "service-disabled": "The service is switched off. No new jobs are sent to it.",
        "maintenance-on": "The service is in maintenance. Its jobs wait.",
        "maintenance-off": "The maintenance is over. The waiting jobs go on.",
        "token-set": "The shared token is stored, encrypted.",
        "token-removed": "The shared token is removed.",
        "panel-added": "The panel is added.",
        "panel-retired": "The panel is retired. Nobody can choose it any longer.",
        "panel-restored": "The panel can be chosen again.",
    }
)
"""What a page says after something was done: `?done=<key>`. Nothing else of the address is ever shown."""
