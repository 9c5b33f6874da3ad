"""Password hashing: bcrypt, in a thread (it releases the GIL), at most two at once on behalf of strangers."""

import asyncio

import bcrypt

MAX_PASSWORD_BYTES = 72  # bcrypt 5 refuses longer input; earlier ones cut it silently
MIN_PASSWORD_CHARS = 8
_DECOY_SALT = "C6UzMDM.H6dfI/f/IKxGhu"  # any valid salt: nothing ever fits the decoy


class Passwords:
    """Hashes and checks. `cost` is bcrypt's log2 of rounds."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
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
