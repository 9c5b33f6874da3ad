"""What a person at a page does about a refusal: our own words where the error's own speak to programs, and a link that helps.

The table is pure and whole: a guard compares it with every code that an answer can have.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from app.core.errors import AppError, FieldError


class Way(NamedTuple):
    """A way out of one kind of refusal. `is_fixed`: these words stand even where the error has a plain advice of its own."""

    text: str
    href: str = ""
    label: str = ""
    is_fixed: bool = False


_AGAIN = Way("Open the page again and send its form once more.")
_FORM_FILES = "Choose the files again on the page of a new job, and send its form."
_NEW_JOB = ("/ui/jobs/new", "New job")
_CREDENTIALS = ("/ui/settings/service-credentials", "Your credentials")
_SERVICES = ("/ui/services", "The services")
_JOBS = ("/ui/jobs", "Your jobs")
_FILES = ("/ui/files", "Your files")
_SIGN_IN = ("/ui/sign-in", "Sign in")
_LATER = "Nothing is lost. Try again in a few minutes."
_OPERATORS = "Ask the operators of the service; how to reach them stands on its page."
_PUSHED = Way("This concerns programs that send results. Nothing of it is done on a page.")

WAYS: Mapping[str, Way] = MappingProxyType(
    {
        # Signing in and accounts
        "not_authenticated": Way("Sign in, then do it again.", *_SIGN_IN, is_fixed=True),
        "invalid_token": Way("Sign in again.", *_SIGN_IN, is_fixed=True),
        "token_expired": Way("Sign in again.", *_SIGN_IN, is_fixed=True),
        "token_revoked": Way("Sign in again. If that fails, ask the administrator.", *_SIGN_IN, is_fixed=True),
        "invalid_credentials": Way("Check both, or ask for a new password.", "/ui/password-reset", "New password", is_fixed=True),
        "too_many_attempts": Way("Wait a little before you try again."),
        "wrong_password": Way("Type it again. If you have forgotten it, ask for a new one.", "/ui/password-reset", "New password"),
        "registration_closed": Way("Ask the administrator for an account."),
        "username_taken": Way("Choose another user name."),
        "email_taken": Way("Use another e-mail address, or the account that has this one."),
        "own_account": Way("Let another administrator do it.", "/ui/admin/users", "Users"),
        "last_admin": Way("Make somebody else an administrator first.", "/ui/admin/users", "Users"),
        "cannot_be_mailed": Way("See that the account is enabled, and let its owner confirm an e-mail address."),
        "link_gone": Way("Ask for a new link, and use it once, in time."),
        "forbidden": Way("If you need this, ask the administrator."),
        "cross_site_request": Way("Open the page again and send the form from there.", is_fixed=True),
        "invalid_preferences": Way("Open the page of your notifications again and choose there.", "/ui/settings/notifications", "Notification settings"),
        # Any request
        "invalid_input": Way("Look at what is marked, mend it, and send the form again."),
        "invalid_field": Way("Look at what is marked, mend it, and send the form again."),
        "unknown_field": _AGAIN._replace(is_fixed=True),
        "missing_field": Way("Fill in what is marked, and send the form again."),
        "repeated_field": _AGAIN._replace(is_fixed=True),
        "not_a_file": Way(_FORM_FILES, *_NEW_JOB),
        "invalid_json": _AGAIN,
        "invalid_form": _AGAIN,
        "malformed_request": Way("Open the page again. If it happens again, try another browser."),
        "invalid_idempotency_key": _AGAIN,
        "idempotency_key_reused": Way("Look at your jobs first. If you want this one as well, send the form once more.", *_JOBS),
        "not_found": Way("Check the address, or go back to the start.", is_fixed=True),
        "method_not_allowed": Way("Go back to the page that you came from, and use its links and buttons."),
        "expectation_failed": Way("Open the page again. If it happens again, try another browser."),
        "conflict": Way("Open the page again to see how it stands now, then decide."),
        "too_large": Way("Send less at once, or ask the administrator for a higher limit."),
        "unsupported_media_type": _AGAIN,
        "rate_limited": Way("Wait a minute, then try again."),
        "quota_exceeded": Way("Delete what you no longer need, or wait until your open jobs have ended.", *_JOBS),
        "unavailable": Way(_LATER),
        "storage_full": Way("Nothing of the file was kept. Tell the administrator that the disk is full."),
        "internal_error": Way("Try again. If it happens again, tell the administrator the number of the request.", is_fixed=True),
        "error": Way("Try again. If it happens again, tell the administrator the number of the request.", is_fixed=True),
        # Services, panels, credentials
        "no_credentials": Way("Store a credential for the service first.", *_CREDENTIALS, is_fixed=True),
        "credential_unconfirmed": Way("Look at the new address of the service, and confirm your credential for it.", *_CREDENTIALS, is_fixed=True),
        "credential_unreadable": Way("Store the credential again.", *_CREDENTIALS, is_fixed=True),
        "credential_rejected": Way("Make a new token at the service, and store it here.", *_CREDENTIALS),
        "credential_expired": Way("Make a new token at the service, and store it here.", *_CREDENTIALS),
        "invalid_credential": Way("Copy the token once more and paste it alone, without quotes or blanks."),
        "no_credential_needed": Way("Submit without one: this service asks for none.", *_NEW_JOB),
        "origin_changed": Way("Open the credential again, look at where the service is now, and confirm that.", *_CREDENTIALS, is_fixed=True),
        "service_not_found": Way("Choose one of the services that are listed.", *_SERVICES, is_fixed=True),
        "panel_not_found": Way("Choose one of the panels on the service's page.", *_SERVICES, is_fixed=True),
        "unknown_panel": Way("Choose one of the panels that the service lists."),
        "service_disabled": Way("Choose another service, or ask the administrator when this one is back.", *_SERVICES),
        "service_in_use": Way("Switch it off instead of deleting it. Nobody can submit to it then.", "/ui/admin/services", "Services", is_fixed=True),
        "service_misconfigured": Way("Tell the administrator: the settings of the service have to be corrected."),
        "invalid_service": Way("Correct the marked settings and save again."),
        "insecure_base_url": Way("Use an https address, or allow plain http where the network itself can be trusted.", is_fixed=True),
        "secret_in_config": Way("Take it out of the settings. A token that all share has a field of its own, and is stored encrypted.", is_fixed=True),
        "service_not_recognised": Way("Give the address of the service itself, with its path; or add it by hand and choose its kind.", "/ui/admin/services/new", "Add by hand", is_fixed=True),
        "slug_taken": Way("Choose another short name."),
        "panel_exists": Way("Change that panel, or choose another key."),
        "no_panels_listed": Way("Check the name of the application in the service's settings, or enter panels by hand.", is_fixed=True),
        "credential_echoed": Way("Replace the credential at the service, store the new one here, and tell the service's operators.", *_CREDENTIALS),
        "untrusted_address": Way("Correct the address. If it is meant to be a private one, the administrator has to allow its network."),
        "service_unavailable": Way("Try again later; the service's page shows when it was last seen.", *_SERVICES),
        "service_maintenance": Way("Try again when the service is back.", *_SERVICES),
        "service_quota_full": Way("Wait until one of your jobs there has ended.", *_JOBS),
        "service_refused": Way("Change what the service names, and try again."),
        "remote_not_found": Way(_OPERATORS, *_SERVICES),
        "downloads_exhausted": Way(_OPERATORS, *_SERVICES),
        # Submitting
        "unknown_build": Way("Choose the build that the positions of your files are in."),
        "unknown_phasing": Way("Choose one of the ways of phasing that the service offers."),
        "unknown_population": Way("Choose one of the populations that the panel lists."),
        "unknown_format": Way("Convert the files to VCF, compressed by bgzip, one for each chromosome."),
        "unknown_option": Way("Choose among what the service's options offer."),
        "invalid_options": Way("Open the page of a new job and choose the options there.", *_NEW_JOB, is_fixed=True),
        "invalid_targets": Way("Choose the services and panels again.", *_NEW_JOB, is_fixed=True),
        "too_many_targets": Way("Send to fewer services at once; the stored files can be used for the others.", *_NEW_JOB, is_fixed=True),
        "repeated_target": Way("Choose each panel once, or other options for it."),
        "targets_and_service": Way("Choose the services and panels again.", *_NEW_JOB, is_fixed=True),
        "job_quota": Way("Wait until some of your jobs have ended, or cancel some.", *_JOBS),
        "storage_quota": Way("Delete files or jobs that you no longer need, or wait for uploads that are under way.", *_FILES),
        "broken_upload": Way("Nothing was kept. Send the form again; if it breaks again, look at your connection.", is_fixed=True),
        "no_boundary": Way(_FORM_FILES, *_NEW_JOB),
        "nested_multipart": Way(_FORM_FILES, *_NEW_JOB),
        "part_headers_too_long": Way("Shorten the name of the file, and choose it again."),
        "encoded_part": Way(_FORM_FILES, *_NEW_JOB),
        "not_text": Way("Type the text again: something in it cannot be read.", is_fixed=True),
        "too_many_fields": _AGAIN,
        "too_many_files": Way("Choose fewer files: one for each chromosome.", is_fixed=True),
        "file_too_large": Way("Send one chromosome in each file, with nothing but the genotypes (GT) in it.", is_fixed=True),
        "check_failed": Way("Send the files again. If it happens again, tell the administrator."),
        # Jobs, files and results
        "job_is_final": Way("The job has ended by itself; look at how.", *_JOBS),
        "job_is_open": Way("Wait until it has ended, or cancel it."),
        "batch_is_final": Way("All its jobs have ended; look at how.", *_JOBS),
        "batch_is_open": Way("Wait until all its jobs have ended, or cancel them."),
        "nothing_to_retry": Way("Wait for the open ones, or submit a new job.", *_NEW_JOB),
        "input_gone": Way("Submit a new job with the file.", *_NEW_JOB),
        "panel_gone": Way("Submit a new job with another panel.", *_NEW_JOB),
        "results_not_ready": Way("Its page shows how far it is, and says when the results are there.", *_JOBS, is_fixed=True),
        "no_results": Way("The job's page says why there are none, and how to go on.", *_JOBS),
        "results_deleted": Way("Run the job again to have them anew.", *_JOBS),
        "results_at_service": Way("Fetch them at the service; the job's page says where.", *_JOBS, is_fixed=True),
        "no_decision_needed": Way("Open the job's page to see how it stands now.", *_JOBS, is_fixed=True),
        "invalid_run_id": Way("Copy it once more, just as the service shows it."),
        "run_taken": Way("Look once more which run at the service is this job's."),
        "file_gone": Way("Upload it again; or ask the administrator, who may have a backup.", *_FILES),
        "file_in_use": Way("Wait until the job that uses it has ended, or cancel that job.", *_JOBS),
        "file_of_job": Way("Delete the job instead: its files go with it.", *_JOBS),
        "precondition_failed": Way("Start the download anew."),
        "requested_range_not_satisfiable": Way("Start the download anew."),
        "link_not_found": Way("Sign in and make a new link, or ask whoever gave it to you."),
        "result_name_refused": _PUSHED,
        "invalid_checksum": _PUSHED,
        "checksum_differs": _PUSHED,
        "result_exists": _PUSHED,
        "results_too_large": _PUSHED,
        "too_many_results": _PUSHED,
        "too_many_streams": Way("Close other tabs of this platform; this page goes on without live news until then."),
    }
)  # fmt: skip

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "api_config.api_token": "the shared token",
        "api_config": "the settings",
        "api_token": "the token",
        "api_type": "the kind of the service",
        "base_url": "the base URL",
        "allow_insecure": "the permission of plain http",
        "is_active": "the switch",
        "service_id": "the service",
        "reference_panel_id": "the panel",
        "input_file_id": "the stored file",
        "input_file": "the file",
        "external_job_id": "the run's id",
        "current_password": "the current password",
        "new_password": "the new password",
        "notification_preferences": "the notification settings",
        "shared_with": "whom it is shared with",
        "supported_builds": "the builds",
        "confirm_origin": "the confirmation of its address",
        "default_population": "the population that is meant if none is named",
        "username": "the user name",
        "wait_limit_s": "the longest wait",
    }
)
"""The names of fields that the API uses, as the pages' labels have them."""
_NAMES = re.compile(
    rf"(?<![\w./-])«?`?({'|'.join(map(re.escape, sorted(_WORDS, key=len, reverse=True)))})`?»?(?![\w-])"
)
_FOR_PROGRAMS = re.compile(
    r"\b(GET|POST|PUT|PATCH|DELETE)\b|\bcurl\b|\bJSON\b|multipart/|\bBearer\b|Idempotency-Key|\bheader `?[A-Z]|\bdecision_needed\b"
)


def plain(text: str) -> str:
    """Give a sentence of an error without the API's names for fields."""
    text = text.removeprefix("api_config: ")
    told = _NAMES.sub(lambda found: _WORDS[found[1]], text)
    return told if told == text else f"{told[:1].upper()}{told[1:]}"


def way_of(error: AppError) -> Way:
    """Give what a person at a page does about an error. Findings of genotype files have plain advice of their own."""
    known = WAYS.get(error.code)
    own = error.action
    if own and not _FOR_PROGRAMS.search(own) and not (known and known.is_fixed):
        own = plain(own)
        return known._replace(text=own) if known else Way(own)
    return known or Way("Look at what is named, mend it, and try again.")


def way_out(error: AppError) -> str:
    """Give the words of it alone."""
    return way_of(error).text


def at_page(error: AppError) -> AppError:
    """Put an error into the words of a page: message, advice, and what is said of its fields."""
    error.message, error.action = plain(error.message), way_out(error)
    error.errors = tuple(FieldError(item.field, plain(item.message)) for item in error.errors)
    return error
