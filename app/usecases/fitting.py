"""Holding a service's settings against what its server says of itself, when they are saved and before anything is written."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.adapters.base import AdapterError, Credential
from app.usecases.deps import Deps

ASK_LIMIT_S = 10.0
"""An administrator waits so long at most; the settings are saved whatever comes of it."""


async def misfits(
    deps: Deps, api_type: str, values: Mapping[str, Any], token: str | None
) -> tuple[str, ...]:
    """Give what in a service's settings does not fit the server that answers there; `values` are its settable fields.

    Only servers that describe themselves to everybody are asked. One that cannot be asked is no reason to refuse the settings,
    only to say so. Raises ValueError for settings that cannot be used at all.
    """
    if not deps.adapters.tells_all(api_type):
        return ()
    adapter = deps.adapters.open(
        api_type,
        base_url=values["base_url"],
        config={**values["api_config"], "allow_insecure": values["allow_insecure"]},
        credential=Credential(token=token) if token is not None else None,
    )
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            return (await adapter.describe()).warnings
    except AdapterError as error:
        reason = error.reason
    except TimeoutError:
        reason = f"it did not answer within {ASK_LIMIT_S:.0f} s"
    return (f"The service could not be asked whether these settings fit it: {reason}",)
