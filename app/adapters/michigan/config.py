"""What an administrator may set for a service of this dialect, in its `api_config`."""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9._-]{1,50})?")
_RESERVED = frozenset({"files", "refpanel", "password", "job-name"})


class MichiganConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are understood; others in `api_config` are the business of somebody else and ignored.

    allow_insecure: plain http is accepted (tokens and genotypes then travel readable by everybody on the way).
    """

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
    for name, value in parsed.extra_fields.items():
        if name in _RESERVED or not name.isprintable() or not name:
            raise ValueError("api_config: `extra_fields` has a name that must not be set there")
        if not value.isprintable():
            raise ValueError("api_config: `extra_fields` has a value with control characters")
    return parsed
