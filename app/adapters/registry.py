"""Which dialects there are. A new one is one folder and one line here."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from app.adapters.base import Adapter, AdapterError, Credential, Recognised, ServiceUnavailable
from app.adapters.michigan.config import MichiganConfig
from app.adapters.michigan.opening import open_adapter as open_michigan
from app.adapters.michigan.recognise import recognise as recognise_michigan
from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter as open_wes
from app.adapters.wes.config import WesConfig
from app.adapters.wes.recognise import recognise as recognise_wes


class Open(Protocol):
    """Binds an adapter. Raises `ValueError`, in words for an administrator."""

    def __call__(
        self,
        transport: Transport,
        base_url: str,
        config: Mapping[str, object],
        credential: Credential | None,
        /,
    ) -> Adapter: ...


class Recognise(Protocol):
    """Looks whether the dialect is spoken at an address, or at a root above it; None where it is not.

    The credential goes only to a server that was recognised without it. Raises `AdapterError` where nothing can be concluded.
    """

    async def __call__(
        self,
        transport: Transport,
        base_url: str,
        /,
        *,
        allow_insecure: bool,
        credential: Credential | None,
    ) -> Recognised | None: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a dialect is opened, and how it is recognised at an address that nobody knows yet.

    `schema` is what an administrator may set in `api_config`. `tells_all`: its servers describe themselves to everybody, so that
    settings can be held against that when they are saved.
    """

    open: Open
    recognise: Recognise
    schema: type[msgspec.Struct] = msgspec.Struct
    tells_all: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "michigan": Dialect(open_michigan, recognise_michigan, MichiganConfig),
    "ga4gh_wes": Dialect(open_wes, recognise_wes, WesConfig, tells_all=True),
}


class AdapterRegistry:
    """Opens adapters over one shared transport."""

    def __init__(self, transport: Transport, dialects: Mapping[str, Dialect] = DIALECTS) -> None:
        self._transport = transport
        self._dialects = dialects

    def kinds(self) -> tuple[str, ...]:
        """Give the values that a service's `api_type` may have."""
        return tuple(self._dialects)

    def schema(self, api_type: str) -> type[msgspec.Struct] | None:
        """Give what may be set for services of this kind in `api_config`; None for a kind that is not known."""
        dialect = self._dialects.get(api_type)
        return dialect.schema if dialect is not None else None

    def tells_all(self, api_type: str) -> bool:
        """Tell whether servers of this kind describe themselves without a credential."""
        return api_type in self._dialects and self._dialects[api_type].tells_all

    def open(
        self,
        api_type: str,
        *,
        base_url: str,
        config: Mapping[str, object],
        credential: Credential | None,
    ) -> Adapter:
        """Bind an adapter to a service and a credential. Connects nothing.

        Raises `ValueError`, in words for an administrator, for an unknown `api_type`, an impossible base URL, or a
        configuration that the dialect does not understand.
        """
        dialect = self._dialects.get(api_type)
        if dialect is None:
            raise ValueError(f"api_type must be one of: {', '.join(self._dialects)}")
        return dialect.open(self._transport, base_url, config, credential)

    def check(self, api_type: str, *, base_url: str, config: Mapping[str, object]) -> None:
        """Return if a service so described could be opened. Raises `ValueError` as `open` does."""
        self.open(api_type, base_url=base_url, config=config, credential=None)

    async def recognise(
        self,
        base_url: str,
        *,
        allow_insecure: bool,
        credential: Credential | None,
        limit_s: float,
    ) -> dict[str, Recognised | AdapterError | None]:
        """Ask every dialect at once whether it is spoken there; give each one's word after `limit_s` seconds at most."""

        async def ask(dialect: Dialect) -> Recognised | AdapterError | None:
            try:
                async with asyncio.timeout(limit_s):
                    return await dialect.recognise(
                        self._transport,
                        base_url,
                        allow_insecure=allow_insecure,
                        credential=credential,
                    )
            except AdapterError as error:
                return error
            except TimeoutError:
                return ServiceUnavailable(f"gave no clear answer within {limit_s:g} seconds")

        async with asyncio.TaskGroup() as group:
            asked = {
                kind: group.create_task(ask(dialect)) for kind, dialect in self._dialects.items()
            }
        return {kind: task.result() for kind, task in asked.items()}
