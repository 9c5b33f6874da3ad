"""Encryption of secrets at rest: AES-256-GCM under keys that never stand in the database.

A secret is bound to where it belongs (associated data), so a row copied elsewhere does not decrypt. The key id beside each
secret says which key it needs; `rotate-keys` encrypts anew under the newest.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12  # NIST SP 800-38D §5.2.1.1: 96-bit nonces


class VaultError(Exception):
    """Raised when a secret cannot be opened: its key is gone, or it was moved or changed."""


class Vault:
    """Seals and opens secrets. `keys` maps key ids to 32-byte keys, newest first."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise VaultError("there is no credential key")
        if any(len(key) != 32 for key in keys.values()):
            raise VaultError("a credential key is not 32 bytes long")
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._raw = dict(keys)
        self.key_id = next(iter(keys))

    def seal(self, secret: str, *context: object) -> tuple[bytes, str]:
        """Encrypt under the newest key, bound to `context`; give (sealed bytes, key id)."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self.key_id].encrypt(nonce, secret.encode(), _bind(context))
        return nonce + sealed, self.key_id

    def open(self, sealed: bytes, key_id: str, *context: object) -> str:
        """Decrypt. Raises VaultError."""
        try:
            cipher = self._keys[key_id]
        except KeyError:
            raise VaultError(
                f"the credential key {key_id!r} is not among FIP_CREDENTIAL_KEYS"
            ) from None
        try:
            opened = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bind(context))
            return opened.decode()
        except (InvalidTag, ValueError):  # ValueError: cut short
            raise VaultError("a stored secret does not belong here or was changed") from None

    def fingerprint(self, data: bytes) -> str:
        """Give a keyed hash: it recognises equal data, and tells nothing about it without the key."""
        return self._fingerprint(self.key_id, data)

    def is_fingerprint(self, fingerprint: str, data: bytes) -> bool:
        """Tell whether the fingerprint, made under any key that is still known, is that of `data`."""
        key_id = fingerprint.rpartition(":")[0]
        return key_id in self._raw and hmac.compare_digest(
            fingerprint, self._fingerprint(key_id, data)
        )

    def _fingerprint(self, key_id: str, data: bytes) -> str:
        digest = hmac.new(self._raw[key_id], b"fip-fingerprint" + data, hashlib.sha256)
        return f"{key_id}:{digest.hexdigest()}"


def _bind(context: tuple[object, ...]) -> bytes:
    return b"\x00".join(str(item).encode() for item in context)


def parse_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64key,id:base64key`, newest first. Raises VaultError."""
    keys: dict[str, bytes] = {}
    for item in text.replace("\n", ",").split(","):
        key_id, colon, encoded = item.strip().partition(":")
        if not item.strip():
            continue
        try:
            key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            key = b""
        if not colon or not key_id or len(key) != 32:
            raise VaultError("FIP_CREDENTIAL_KEYS is not a list of id:key with 32-byte base64 keys")
        keys[key_id] = key
    return keys


def new_key() -> str:
    """Make a key in the form that `parse_keys` reads, without its id."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
