"""Sign-in tokens: JSON Web Tokens, HS256 and nothing else (RFC 8725 §3.1: the algorithm is pinned by the verifier).

PyJWT knows many more algorithms, and its import takes 20 ms for them: it is done once the server listens (`warm_up`), or by whoever
comes earlier with a token.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_VERIFIED = 10_000
"""Tokens that are remembered as verified, each about half a kilobyte."""

_ALGORITHM = "HS256"
_REQUIRED = ["exp", "user_id", "username", "jti", "ver"]


class TokenRejected(Exception):
    """Raised for a token that is forged, expired, or not one of ours. `expired` tells the harmless case."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("expired" if expired else "rejected")
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. It counts only while `version` is still the user's."""

    user_id: int
    username: str
    version: int
    token_id: str


def warm_up() -> None:
    """Import what tokens need (blocks)."""
    import jwt  # noqa: F401, PLC0415


class TokenSigner:
    """Issues and reads tokens. `lifetime_s` is in seconds."""

    def __init__(self, secret: str, lifetime_s: float) -> None:
        if len(secret.encode()) < 32:  # RFC 7518 §3.2: a key of at least the hash's size
            raise ValueError("FIP_JWT_SECRET is shorter than 32 bytes")
        self._secret = secret
        self._verified: dict[str, tuple[Claims, float]] = {}
        self.lifetime_s = lifetime_s

    def issue(self, user_id: int, username: str, version: int, now: datetime) -> str:
        """Give a token that ends `lifetime_s` after `now`."""
        import jwt  # noqa: PLC0415

        claims = {
            "user_id": user_id,
            "username": username,
            "ver": version,
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + timedelta(seconds=self.lifetime_s),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read(self, token: str) -> Claims:
        """Check a token. Raises TokenRejected.

        What was verified once is remembered until it expires: verifying takes 30 to 70 µs, of the 200 µs or so of a small
        answer. Whether its user has ended the token is not judged here, but with each request.
        """
        claims, expires_at = self._verified.get(token, (None, 0.0))
        if claims is not None and time.time() < expires_at:
            return claims
        claims, expires_at = self._verify(token)
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[token] = (claims, expires_at)
        return claims

    def _verify(self, token: str) -> tuple[Claims, float]:
        import jwt  # noqa: PLC0415

        try:
            payload = jwt.decode(
                token, self._secret, algorithms=[_ALGORITHM], options={"require": _REQUIRED}
            )
            user_id, version = payload["user_id"], payload["ver"]
            if type(user_id) is not int or type(version) is not int or not 0 < user_id < 2**63:
                raise TokenRejected
            claims = Claims(user_id, str(payload["username"]), version, str(payload["jti"]))
            return claims, float(payload["exp"])
        except jwt.ExpiredSignatureError:
            raise TokenRejected(expired=True) from None
        except (jwt.InvalidTokenError, UnicodeError):  # bytes of a header that are no text
            raise TokenRejected from None
