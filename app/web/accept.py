"""What kind of answer a client asks for (RFC 9110 §12.5.1)."""

from collections.abc import Iterable

_BYTES = ("application/zip", "application/gzip", "application/octet-stream")


def wants_json(accept: str | None) -> bool:
    """Tell whether JSON is asked for by name, and no less than the bytes: `*/*`, as curl sends it, means the bytes."""
    weights = dict(_weights(accept or ""))
    json = weights.get("application/json", 0.0)
    return json > 0 and json >= max(weights.get(kind, 0.0) for kind in _BYTES)


def _weights(accept: str) -> Iterable[tuple[str, float]]:
    for item in accept.split(","):
        kind, *parameters = item.split(";")
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        yield kind.strip().lower(), weight
