"""Token buckets: how often somebody may do something, in bounded memory.

Pure: the clock's reading is an argument. A bucket that was not touched for as long as it takes to fill up may be forgotten, so
the oldest is dropped when there are too many.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

_IPV6_PREFIX = 64  # what one subscriber usually gets (RFC 6177): its addresses count as one


class TokenBuckets:
    """One bucket a key. It holds `burst` tokens and gains `per_minute` tokens in a minute."""

    def __init__(self, per_minute: float, burst: int | None = None, max_keys: int = 20_000) -> None:
        self._rate = per_minute / 60
        self._burst = float(burst if burst is not None else max(1.0, per_minute))
        self._max_keys = max_keys
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: object, now: float) -> float:
        """Take a token; give 0, or, when there is none, the seconds until there will be one. `now` is monotonic seconds."""
        tokens = self._tokens(key, now)
        wait = 0.0
        if tokens >= 1:
            tokens -= 1
        else:
            wait = (1 - tokens) / self._rate
        self._store(key, tokens, now)
        return wait

    def give_back(self, key: object, now: float) -> None:
        """Return a token that turned out not to count."""
        self._store(key, min(self._burst, self._tokens(key, now) + 1), now)

    def _tokens(self, key: object, now: float) -> float:
        tokens, then = self._buckets.get(key, (self._burst, now))
        return min(self._burst, tokens + (now - then) * self._rate)

    def _store(self, key: object, tokens: float, now: float) -> None:
        self._buckets[key] = (tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)


def address_key(address: str) -> str:
    """Give what stands for the party behind an address: itself, or its network for IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
