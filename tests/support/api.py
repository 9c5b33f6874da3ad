"""The platform as a client sees it: real HTTP to a real server."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

from tests.support.people import Person


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        """Decode the body; fails unless it says that it is JSON."""
        kind = self.headers["Content-Type"].partition(";")[0]
        assert kind in ("application/json", "application/problem+json"), kind
        return msgspec.json.decode(self.body)


class Api:
    """Calls one running platform. `as_` says who asks; nobody when absent."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    def headers(self, as_: Person | None) -> dict[str, str]:
        """The headers that sign a person in."""
        return {"Authorization": f"Bearer {as_.token}"} if as_ else {}

    async def request(
        self,
        method: str,
        path: str,
        *,
        as_: Person | None = None,
        headers: dict[str, str] | None = None,
        is_raw: bool = False,
        **options: Any,
    ) -> Answer:
        """Send a request and read the answer whole. `options` are those of aiohttp's client; `is_raw`: the path goes out as it is."""
        async with self.session.request(
            method,
            URL(self.base + path, encoded=is_raw),
            headers={**self.headers(as_), **(headers or {})},
            allow_redirects=False,
            **options,
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, *, as_: Person | None = None, **options: Any) -> Answer:
        return await self.request("GET", path, as_=as_, **options)

    async def head(self, path: str, *, as_: Person | None = None, **options: Any) -> Answer:
        return await self.request("HEAD", path, as_=as_, **options)

    async def post(self, path: str, *, as_: Person | None = None, **options: Any) -> Answer:
        return await self.request("POST", path, as_=as_, **options)

    async def patch(self, path: str, *, as_: Person | None = None, **options: Any) -> Answer:
        return await self.request("PATCH", path, as_=as_, **options)

    async def delete(self, path: str, *, as_: Person | None = None, **options: Any) -> Answer:
        return await self.request("DELETE", path, as_=as_, **options)
