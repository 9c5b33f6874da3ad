"""Token buckets: how often, and in how much memory."""

import pytest

from app.core.throttle import TokenBuckets, address_key


def test_take_when_burst_is_used_up_then_it_tells_how_long_to_wait() -> None:
    buckets = TokenBuckets(per_minute=60, burst=3)

    assert [buckets.take("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 100.0) == pytest.approx(1.0)
    assert buckets.take("b", 100.0) == 0


def test_take_when_time_passes_then_tokens_come_back_up_to_the_burst() -> None:
    buckets = TokenBuckets(per_minute=60, burst=2)
    for _ in range(2):
        buckets.take("a", 0.0)

    assert buckets.take("a", 1.0) == 0
    assert buckets.take("a", 1.0) > 0
    assert [buckets.take("a", 1000.0) for _ in range(2)] == [0, 0]
    assert buckets.take("a", 1000.0) > 0


def test_take_when_refused_again_and_again_then_the_wait_does_not_grow() -> None:
    buckets = TokenBuckets(per_minute=1, burst=1)
    buckets.take("a", 0.0)

    waits = {round(buckets.take("a", 0.0)) for _ in range(50)}

    assert waits == {60}


def test_give_back_when_bucket_is_full_then_it_gains_nothing() -> None:
    buckets = TokenBuckets(per_minute=60, burst=1)
    buckets.give_back("a", 0.0)

    assert buckets.take("a", 0.0) == 0
    assert buckets.take("a", 0.0) > 0


def test_take_when_keys_are_many_then_memory_is_bounded_and_the_busy_key_stays() -> None:
    buckets = TokenBuckets(per_minute=1, burst=1, max_keys=100)
    buckets.take("busy", 0.0)
    for number in range(10_000):
        buckets.take(number, 0.0)
        assert buckets.take("busy", 0.0) > 0

    assert len(buckets) == 100


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
    ],
)
def test_address_key_when_one_party_has_many_addresses_then_they_are_one(
    address: str, key: str
) -> None:
    assert address_key(address) == key
