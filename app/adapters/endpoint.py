"""The root of a service's API: a base URL with any prefix, to which paths are appended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode

from yarl import URL


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service lives. `root` has no trailing slash."""

    root: str
    host: str
    allow_insecure: bool = False

    @classmethod
    def parse(cls, base_url: str, *, allow_insecure: bool = False) -> Self:
        """Read a base URL. Raises `ValueError` with clear words for anything that cannot be one."""
        try:
            url = URL(base_url.strip())
            port = url.port
        except ValueError:
            raise ValueError("the base URL is not a URL") from None
        if url.scheme not in {"http", "https"} or not url.raw_host or not port:
            raise ValueError("the base URL must begin with https:// (or http://) and name a host")
        if url.raw_user is not None or url.raw_password is not None:
            raise ValueError("the base URL must not hold a user name or password")
        if url.query_string or url.fragment:
            raise ValueError("the base URL must not hold a query or a fragment")
        return cls(str(url).rstrip("/"), url.raw_host, allow_insecure)

    def at(self, *segments: str, query: Mapping[str, str] | None = None) -> URL:
        """Give the URL of a path below the root; each segment is percent-encoded whole, `/` and `@` too.

        Raises `ValueError` for segments that would climb (`.`, `..`, nothing).
        """
        if any(segment in {"", ".", ".."} for segment in segments):
            raise ValueError("a path segment must be a name")
        path = "/".join(quote(segment, safe="") for segment in segments)
        asked = f"?{urlencode(query)}" if query else ""
        return URL(f"{self.root}/{path}{asked}", encoded=True)
