"""What an administrator may set for a service of this dialect, in its `api_config`."""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from app.adapters.michigan import dialects
from app.adapters.michigan.simple_words import SimplePanel

_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9._-]{1,50})?")
_PANEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,199}")
_LONGEST_POLL_S = 86_400.0
_RESERVED = frozenset({"files", "refpanel", "password", "job-name"})


class MichiganConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are understood; others in `api_config` are the business of somebody else and ignored.

    allow_insecure: plain http is accepted (tokens and genotypes then travel readable by everybody on the way).
    """

    dialect: Annotated[
        dialects.Choice,
        Meta(
            title="Dialect",
            description=(
                "Which server of the family it is. auto tells by its answers, as does cloudgene for its two generations; simple is a gateway without apps "
                "(POST /api/v2/jobs/submit)."
            ),
        ),
    ] = "auto"
    app: Annotated[
        str | None,
        Meta(
            title="App",
            description="The app to submit to: its id (the newest version), or id@version. Found by itself where empty.",
            examples=["imputationserver2"],
        ),
    ] = None
    allow_insecure: bool = False
    account_limit: Annotated[
        int | None,
        Meta(
            title="Jobs of an account",
            description="How many jobs an account may have waiting or running at the service, where it is known.",
        ),
    ] = None
    min_poll_s: Annotated[
        float | None,
        Meta(
            title="Least seconds between looks",
            description="What the operators ask for; a shorter poll interval of the service is lengthened to it.",
        ),
    ] = None
    panels: Annotated[
        dict[str, SimplePanel],
        Meta(
            title="Panels (simple dialect)",
            description="What is submitted for each, and its name. Empty: those of the original design.",
        ),
    ] = {}
    extra_fields: Annotated[
        dict[str, str],
        Meta(
            title="Extra form fields",
            description="Sent with every job as they are, for inputs that a site hides from its form.",
        ),
    ] = {}


CONFIG_SCHEMA = MichiganConfig


def parse_config(config: Mapping[str, object]) -> MichiganConfig:
    """Read and check `api_config`. Raises `ValueError` with words for an administrator."""
    known = {
        key: config[key] for key in MichiganConfig.__struct_fields__ if config.get(key) is not None
    }
    try:
        parsed = msgspec.convert(known, MichiganConfig)
    except msgspec.ValidationError as error:
        raise ValueError(f"api_config: {error}") from None
    if parsed.app is not None and not _APP_ID.fullmatch(parsed.app):
        raise ValueError(
            "api_config: `app` must be an app id such as imputationserver2 or imputationserver2@2.0.12"
        )
    if parsed.account_limit is not None and parsed.account_limit < 1:
        raise ValueError("api_config: `account_limit` must be at least 1")
    if parsed.min_poll_s is not None and not 0 < parsed.min_poll_s <= _LONGEST_POLL_S:
        raise ValueError("api_config: `min_poll_s` must be more than 0 and at most a day")
    if any(not _PANEL_KEY.fullmatch(key) for key in parsed.panels):
        raise ValueError("api_config: `panels` has a key that cannot be submitted")
    for name, value in parsed.extra_fields.items():
        if name in _RESERVED or not name.isprintable() or not name:
            raise ValueError("api_config: `extra_fields` has a name that must not be set there")
        if not value.isprintable():
            raise ValueError("api_config: `extra_fields` has a value with control characters")
    return parsed
