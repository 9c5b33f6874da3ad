"""Base addresses of services, as administrators enter them, and the origins that credentials are bound to."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Give `scheme://host:port` of an address, in one form whatever its case and whether its port is named."""
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    port = parts.port or _PORTS.get(scheme, 0)
    host = (parts.hostname or "").rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def is_plain(url: str) -> bool:
    """Tell whether what is sent there can be read on the way."""
    return urlsplit(url.strip()).scheme.lower() != "https"
