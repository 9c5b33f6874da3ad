"""Password hashing: bcrypt, in a thread (it releases the GIL), at most two at once; and the brake on guessing."""

import asyncio
import math
import time

import bcrypt

from app.core.accounts import MAX_PASSWORD_BYTES
from app.core.errors import RateLimited
from app.core.throttle import TokenBuckets, address_key

_ACCOUNTS_AN_ADDRESS = 12
"""So many times the attempts at one account may one address fail altogether, half of them at once: bcrypt is dear (a quarter of a
second each, two at a time), and whoever signs in waits behind those who guess."""
_DECOY_SALT = "C6UzMDM.H6dfI/f/IKxGhu"  # any valid salt: nothing ever fits the decoy


class Passwords:
    """Hashes and checks. `cost` is bcrypt's log2 of rounds."""

    def __init__(self, cost: int, attempts_per_minute: int = 10) -> None:
        self._cost = cost
        self._attempts = TokenBuckets(attempts_per_minute)
        at_once = _ACCOUNTS_AN_ADDRESS * attempts_per_minute // 2
        self._addresses = TokenBuckets(2 * at_once, burst=at_once)
        self._gate = asyncio.Semaphore(2)
        self._decoy = f"$2b${cost:02d}${_DECOY_SALT}{'x' * 31}".encode()

    async def hash(self, password: str) -> str:
        """Give the hash to store. The caller has checked the length."""
        async with self._gate:
            hashed = await asyncio.to_thread(
                bcrypt.hashpw, password.encode(), bcrypt.gensalt(self._cost)
            )
        return hashed.decode()

    async def check(self, password: str, stored: str | None) -> bool:
        """Tell whether it fits. Without a stored hash it takes the same time and says no."""
        encoded = password.encode()
        if stored is None:
            fits = False
            against = self._decoy
        else:
            fits = len(encoded) <= MAX_PASSWORD_BYTES
            against = stored.encode()
        async with self._gate:
            equal = await asyncio.to_thread(bcrypt.checkpw, encoded[:MAX_PASSWORD_BYTES], against)
        return fits and equal

    def begin_attempt(self, account: str, address: str) -> None:
        """Count a guess at an account's password from an address. Raises RateLimited.

        Only this pair is slowed down, so nobody can lock the owner out from elsewhere; and an address that guesses at
        many accounts. Whether the account exists plays no part.
        """
        now = time.monotonic()
        wait = self._attempts.take(_pair(account, address), now)
        if wait == 0:
            wait = self._addresses.take(address_key(address), now)
        if wait > 0:
            raise RateLimited(
                "Too many attempts to sign in",
                retry_after_s=math.ceil(wait),
                code="too_many_attempts",
            )

    def forgive_attempt(self, account: str, address: str) -> None:
        """Do not count the latest guess: it was right."""
        now = time.monotonic()
        self._attempts.give_back(_pair(account, address), now)
        self._addresses.give_back(address_key(address), now)


def _pair(account: str, address: str) -> tuple[str, str]:
    return account.strip().casefold()[:100], address_key(address)
