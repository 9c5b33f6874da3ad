"""Which dialects there are. A new one is one folder and one line here."""

from collections.abc import Callable, Mapping

from app.adapters.base import Adapter, Credential
from app.adapters.michigan.adapter import open_adapter as open_michigan
from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter as open_wes

Opener = Callable[[Transport, str, Mapping[str, object], Credential | None], Adapter]

DIALECTS: Mapping[str, Opener] = {
    "michigan": open_michigan,
    "ga4gh_wes": open_wes,
}


class AdapterRegistry:
    """Opens adapters over one shared transport."""

    def __init__(self, transport: Transport, dialects: Mapping[str, Opener] = DIALECTS) -> None:
        self._transport = transport
        self._dialects = dialects

    def kinds(self) -> tuple[str, ...]:
        """Give the values that a service's `api_type` may have."""
        return tuple(self._dialects)

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
        opener = self._dialects.get(api_type)
        if opener is None:
            raise ValueError(f"api_type must be one of: {', '.join(self._dialects)}")
        return opener(self._transport, base_url, config, credential)

    def check(self, api_type: str, *, base_url: str, config: Mapping[str, object]) -> None:
        """Return if a service so described could be opened. Raises `ValueError` as `open` does."""
        self.open(api_type, base_url=base_url, config=config, credential=None)
