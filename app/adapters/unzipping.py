"""stream-unzip with a quicker checksum: AES members are authenticated by HMAC-SHA1, and PyCryptodome's SHA-1 is portable C.

Measured per GB of an AES-256 archive: PyCryptodome's HMAC takes 1.7 s, OpenSSL's, which uses the processor's instructions, 0.5 s,
while decrypting takes 0.4 s. stream-unzip has no option for it, so the name that it looks up is given another meaning; the
tests of damaged archives would tell if a later version no longer looked it up. Imported where an archive is opened and
not before: with its ciphers it takes 50 ms of the start.
"""

import hmac

import stream_unzip
from stream_unzip import (
    MissingPasswordError,
    PasswordError,
    UnsupportedFeatureError,
    UnzipError,
)
from stream_unzip import stream_unzip as unzip

__all__ = [
    "MissingPasswordError",
    "PasswordError",
    "UnsupportedFeatureError",
    "UnzipError",
    "unzip",
]


class _Hmac:
    """What stream-unzip calls as `HMAC.new(key, digestmod=SHA1)`."""

    @staticmethod
    def new(key: bytes, *, digestmod: object) -> hmac.HMAC:  # noqa: ARG004 - it is always SHA-1
        return hmac.new(key, digestmod="sha1")


assert hasattr(stream_unzip, "HMAC"), "stream-unzip authenticates in another way now"  # noqa: S101
stream_unzip.HMAC = _Hmac
