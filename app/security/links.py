"""Signed links: a token in the path that binds one row of `signed_links`, its file and its end, under a key of its own.

The row can be revoked; the signature only spares the database a look-up for made-up tokens. Tokens are never logged.
"""

import base64
import hashlib
import hmac
from enum import StrEnum
from uuid import UUID

_MAC_BYTES = 18


class Purpose(StrEnum):
    """What a token is good for, and nothing else: each has signatures of its own."""

    DOWNLOAD = "fip-link"
    REMOTE_INPUT = "fip-remote-input"
    REMOTE_SHEET = "fip-remote-sheet"
    REMOTE_UPLOAD = "fip-remote-upload"


class LinkSigner:
    """Makes and reads link tokens."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < 32:
            raise ValueError("FIP_LINK_SECRET is shorter than 32 bytes")
        self._secret = secret.encode()

    def sign(self, link_id: UUID, file_id: int, purpose: Purpose = Purpose.DOWNLOAD) -> str:
        """Give the token of a link; one that leads to no file has the file id 0."""
        body = link_id.bytes + file_id.to_bytes(8, "big")
        return base64.urlsafe_b64encode(body + self._mac(body, purpose)).decode().rstrip("=")

    def read(self, token: str, purpose: Purpose = Purpose.DOWNLOAD) -> tuple[UUID, int] | None:
        """Give (link id, file id) of a token that we signed for this purpose, else None."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (ValueError, TypeError):
            return None
        if len(raw) != 24 + _MAC_BYTES:
            return None
        link_id, file_id = UUID(bytes=raw[:16]), int.from_bytes(raw[16:24], "big")
        # Compared as text: other spellings of the same bytes are not tokens of ours.
        if file_id >= 2**63:
            return None
        return (
            (link_id, file_id)
            if hmac.compare_digest(token, self.sign(link_id, file_id, purpose))
            else None
        )

    def _mac(self, body: bytes, purpose: Purpose) -> bytes:
        # The body has always the same length, so no purpose can run into it.
        signed = hmac.new(self._secret, purpose.value.encode() + body, hashlib.sha256)
        return signed.digest()[:_MAC_BYTES]
