"""What Prometheus is told of requests. Labels are route patterns, never addresses, ids or names."""

from functools import cache

from prometheus_client import Counter, Histogram

REQUESTS = Counter(
    "fip_http_requests", "Requests answered, by route and status", ["method", "route", "status"]
)
SECONDS = Histogram(
    "fip_http_request_seconds",
    "Time to answer a request, bodies included",
    ["method", "route"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    shown = method if method in _METHODS else "other"
    _counter(shown, route, status).inc()
    _histogram(shown, route).observe(seconds)


@cache
def _counter(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, str(status))


@cache
def _histogram(method: str, route: str) -> Histogram:
    return SECONDS.labels(method, route)
