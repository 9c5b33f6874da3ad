"""Results that a remote's workflow pushes to a job's upload address: what they may be called, and what became of their checksums. Pure."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import BrokenUpload, InvalidInput

MAX_PUSHED_FILES = 1000
"""Result files of one job, however they came."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")
_ROLES: tuple[tuple[str, str], ...] = (
    (".vcf.gz", "result"),
    (".vcf.gz.tbi", "result"),
    (".tbi", "result"),
    (".csi", "result"),
    (".info.gz", "result"),
    (".info", "result"),
    (".bcf", "result"),
    (".zip", "result"),
    (".md5", "result"),
    (".html", "qc"),
    (".pdf", "qc"),
    (".png", "qc"),
    (".txt", "qc"),
    (".csv", "qc"),
    (".tsv", "qc"),
    (".json", "qc"),
    (".log", "qc"),
)
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def role_of(name: str) -> str:
    """Give the role of a pushed file, by its name. Raises InvalidInput for a name that is not allowed."""
    role = next((role for ending, role in _ROLES if name.lower().endswith(ending)), None)
    if role is None or _NAME.fullmatch(name) is None or ".." in name:
        raise InvalidInput(
            "A result cannot have this name",
            code="result_name_refused",
            action="Use letters, digits, '.', '_' and '-', at most 150, and one of the endings "
            + ", ".join(ending for ending, _ in _ROLES if ending != ".vcf.gz.tbi")
            + ".",
        )
    return role


@dataclass(frozen=True, slots=True)
class Checksums:
    """What a client says of the bytes it sends, in lower-case hex; None where it does not."""

    sha256: str | None = None
    md5: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Checksums":
        """Read `X-Checksum-SHA256` (hex), `Digest` (RFC 3230), `Content-Digest` (RFC 9530) and `Content-MD5` (RFC 1864).

        Other algorithms are passed over. Raises InvalidInput for a checksum that cannot be one.
        """
        sha256, md5 = None, None
        if (plain := headers.get("X-Checksum-SHA256")) is not None:
            if _HEX.fullmatch(plain.strip()) is None:
                raise _unreadable("X-Checksum-SHA256")
            sha256 = plain.strip().lower()
        for header in ("Digest", "Content-Digest", "Repr-Digest"):
            for item in headers.get(header, "").split(","):
                name, _, value = item.strip().partition("=")
                value = value.strip().removeprefix(":").removesuffix(":")
                if name.strip().lower() == "sha-256":
                    told = _hex(value, 32, header)
                    if sha256 not in (None, told):
                        raise _unreadable(header)
                    sha256 = told
                elif name.strip().lower() == "md5":
                    md5 = _hex(value, 16, header)
        if (given := headers.get("Content-MD5")) is not None:
            md5 = _hex(given.strip(), 16, "Content-MD5")
        return cls(sha256, md5)

    def check(self, sha256: str, md5: str | None) -> None:
        """Compare with what arrived. Raises BrokenUpload."""
        if self.sha256 not in (None, sha256) or (self.md5 is not None and self.md5 != md5):
            raise BrokenUpload(
                "The file is not what its checksum says",
                code="checksum_differs",
                action="Send it again; nothing of it was kept.",
            )


def _hex(text: str, size_bytes: int, header: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise _unreadable(header) from None
    if len(raw) != size_bytes:
        raise _unreadable(header)
    return raw.hex()


def _unreadable(header: str) -> InvalidInput:
    return InvalidInput(
        f"The checksum in {header} cannot be read",
        code="invalid_checksum",
        action="Send X-Checksum-SHA256 with 64 hexadecimal digits, or none.",
    )
