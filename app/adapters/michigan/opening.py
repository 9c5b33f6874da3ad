"""Which adapter a service of this kind gets: its configuration names the dialect, or leaves it to be found out."""

from collections.abc import Mapping

from app.adapters.base import Credential
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.config import parse_config
from app.adapters.michigan.dialects import Choice
from app.adapters.michigan.either import EitherAdapter
from app.adapters.michigan.simple import SimpleAdapter
from app.adapters.transport import Transport

_ADAPTERS: Mapping[Choice, type[MichiganAdapter | SimpleAdapter | EitherAdapter]] = {
    "auto": EitherAdapter,
    "cloudgene": MichiganAdapter,
    "cloudgene3": MichiganAdapter,
    "cloudgene2": MichiganAdapter,
    "simple": SimpleAdapter,
}


def open_adapter(
    transport: Transport,
    base_url: str,
    config: Mapping[str, object],
    credential: Credential | None,
) -> MichiganAdapter | SimpleAdapter | EitherAdapter:
    """Make the adapter for a service. Raises `ValueError` for a base URL or configuration that cannot be used."""
    parsed = parse_config(config)
    endpoint = Endpoint.parse(base_url, allow_insecure=parsed.allow_insecure)
    return _ADAPTERS[parsed.dialect](transport, endpoint, parsed, credential)
