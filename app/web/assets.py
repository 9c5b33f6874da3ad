"""What browsers load beside the pages: style, scripts, icons, the typeface. All of it comes from here and no other host.

The address holds a hash of all files together, so an answer may be kept for ever, and a module finds the others by relative paths.
Files are read once at start; each is compressed at its first request and kept.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

STATIC_DIR = Path(__file__).resolve().parents[2] / "static"
PREFIX = "/static"
ICONS_DIR = STATIC_DIR / "vendor" / "lucide-1.62.0"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
        ".png": "image/png",
    }
)
_PACKED_ALREADY = frozenset({".woff2", ".png"})
_SHAPE = re.compile(r"<svg[^>]*>(?P<shape>.*)</svg>", re.DOTALL)


@dataclass(slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes = field(repr=False)
    content_type: str
    may_pack: bool
    _packed: bytes | None = field(default=None, repr=False)

    async def packed(self) -> bytes | None:
        """Give it compressed with gzip; None where that makes nothing smaller."""
        if not self.may_pack:
            return None
        if self._packed is None:
            self._packed = await asyncio.to_thread(gzip.compress, self.body, 9, mtime=0)
        return self._packed


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by their path below `static/`, and the hash that stands in their addresses."""

    version: str
    files: Mapping[str, Asset]

    def url(self, name: str) -> str:
        """Give the address of a file. Raises KeyError for one that is not there: a template names what it should not."""
        if name not in self.files:
            raise KeyError(name)
        return f"{PREFIX}/{self.version}/{name}"


@cache
def load() -> Assets:
    """Read all files that pages may load."""
    found = sorted(path for path in STATIC_DIR.rglob("*") if _is_sent(path))
    files = {
        path.relative_to(STATIC_DIR).as_posix(): Asset(
            path.read_bytes(), _TYPES[path.suffix], path.suffix not in _PACKED_ALREADY
        )
        for path in found
    }
    digest = hashlib.sha256()
    for name, asset in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(asset.body).digest())
    return Assets(digest.hexdigest()[:12], MappingProxyType(files))


def _is_sent(path: Path) -> bool:
    return path.suffix in _TYPES and ICONS_DIR not in path.parents and path.is_file()


@cache
def icon_shape(name: str) -> str:
    """Give what stands inside the `<svg>` of an icon. Raises LookupError for one that is not vendored."""
    path = ICONS_DIR / f"{name}.svg"
    match = _SHAPE.search(path.read_text()) if path.is_file() else None
    if match is None:
        raise LookupError(f"static/vendor has no icon «{name}»")
    return " ".join(match["shape"].split())
