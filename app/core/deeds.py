"""What stands in the audit log, in plain words, and in which group a reader looks for it. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "auth": "Signing in",
        "credential": "Credentials",
        "job": "Jobs",
        "batch": "Batches",
        "file": "Files",
        "user": "Account",
        "service": "Services",
        "panel": "Panels",
    }
)
"""The first word of an act, and what the group is called."""
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "auth.email_confirmed": "Confirmed the e-mail address",
        "auth.login": "Signed in",
        "auth.login_failed": "A sign-in failed",
        "auth.logout": "Signed out everywhere",
        "auth.password_changed": "Changed the password",
        "auth.password_reset": "Set a new password by a link",
        "auth.password_reset_requested": "A link to set a new password was sent",
        "auth.registered": "Made the account",
        "auth.set_up": "Set up the platform",
        "batch.cancel_requested": "Cancelled a batch",
        "batch.deleted": "Deleted a batch",
        "batch.retried": "Retried a batch",
        "batch.submitted": "Submitted a batch",
        "credential.created": "Stored a credential",
        "credential.replaced": "Replaced a credential",
        "credential.changed": "Changed a credential",
        "credential.deleted": "Deleted a credential",
        "credential.refused": "A service refused a credential",
        "credential.tested": "Tested a credential",
        "credential.verified": "Tested a stored credential",
        "file.uploaded": "Uploaded a file",
        "file.deleted": "Deleted a file",
        "file.downloaded": "Downloaded a file",
        "file.fetched_by_service": "A service fetched an input file",
        "file.link_signed": "Made a download link",
        "file.links_revoked": "Ended the download links of a file",
        "job.submitted": "Submitted a job",
        "job.cancel_requested": "Cancelled a job",
        "job.deleted": "Deleted a job",
        "job.retried": "Retried a job",
        "job.adopted": "Named the run of a job",
        "job.result_pushed": "A service delivered a result",
        "panel.created": "Entered a reference panel",
        "panel.updated": "Changed a reference panel",
        "panel.deleted": "Removed a reference panel",
        "panels.synced": "Read the panels of a service",
        "service.created": "Added a service",
        "service.updated": "Changed a service",
        "service.deleted": "Deleted a service",
        "service.tried": "Tried settings of a service",
        "service.dialect_changed": "A service answers as another kind",
        "services.discovered": "Looked what answers at an address",
        "user.created": "Made an account",
        "user.updated": "Changed the profile",
        "user.standing_changed": "Changed role or access of an account",
        "user.reset_link_sent": "Sent a link to set a password",
    }
)


def deed_in_words(action: str) -> str:
    """Give an act in words; one that nobody put into words yet is given by its name."""
    if action in _WORDS:
        return _WORDS[action]
    noun, _, done = action.partition(".")
    return f"{noun.capitalize()}: {done.replace('_', ' ')}"
