"""`dialect: auto`: Cloudgene is spoken, until an answer shows that the other end speaks the simple dialect.

Nothing is asked for that beforehand: operators count calls. Only an answer that no Cloudgene server gives, or the word that a job is
not there, leads to the question (`speaks_simple`), and what was recognised is remembered.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar
from weakref import WeakKeyDictionary

from app.adapters.base import (
    Adapter,
    AdapterError,
    Capabilities,
    Credential,
    CredentialReport,
    Health,
    Progress,
    RemoteJob,
    RemoteNotFound,
    RemoteOutput,
    RemoteState,
    RemoteStatus,
    ServiceDescription,
    Sink,
    Submission,
)
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.client import Client
from app.adapters.michigan.config import MichiganConfig
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.michigan.simple import SimpleAdapter, speaks_simple
from app.adapters.transport import Transport

T = TypeVar("T")
_SEEN: WeakKeyDictionary[Transport, dict[str, bool]] = WeakKeyDictionary()
"""Per transport and base URL, whether the simple dialect is spoken there, once that was seen; for as long as the process lives."""


class EitherAdapter:
    """An `app.adapters.base.Adapter` that finds out by itself."""

    kind: ClassVar[str] = "michigan"

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        config: MichiganConfig,
        credential: Credential | None,
    ) -> None:
        self._seen = _SEEN.setdefault(transport, {})
        self._root = endpoint.root
        self._client = Client(transport, endpoint, credential)
        self._cloudgene = MichiganAdapter(transport, endpoint, config, credential)
        self._simple = SimpleAdapter(transport, endpoint, config, credential)

    @property
    def spoken(self) -> MichiganAdapter | SimpleAdapter:
        """The adapter of the dialect that is spoken, as far as is known."""
        return self._simple if self._seen.get(self._root) else self._cloudgene

    @property
    def capabilities(self) -> Capabilities:
        """What is known to be possible."""
        return self.spoken.capabilities

    async def _do(self, call: Callable[[Adapter], Awaitable[T]], *, proves: bool = False) -> T:
        """Make a call in the dialect that is spoken; after an odd answer to one in Cloudgene's, find out and make it again.

        `proves`: where the call succeeds in Cloudgene's, that is what is spoken.
        """
        if self.spoken is self._simple:
            return await call(self._simple)
        try:
            result = await call(self._cloudgene)
        except (NotSpoken, RemoteNotFound):
            if not await self._finds_simple():
                raise
        else:
            if not isinstance(result, RemoteStatus) or result.state is not RemoteState.GONE:
                if proves or isinstance(result, RemoteStatus):
                    self._seen[self._root] = False
                return result
            if not await self._finds_simple():
                return result
        return await call(self._simple)

    async def _finds_simple(self) -> bool:
        if self._root in self._seen:
            return self._seen[self._root]
        try:
            found = await speaks_simple(self._client)
        except AdapterError:
            return False
        if found:
            self._seen[self._root] = True
        return found

    async def verify_credential(self) -> CredentialReport:
        return await self._do(lambda one: one.verify_credential())

    async def describe(self) -> ServiceDescription:
        return await self._do(lambda one: one.describe(), proves=True)

    async def health(self) -> Health:
        return await self._do(lambda one: one.health(), proves=True)

    async def count_active(self) -> int | None:
        return await self._do(lambda one: one.count_active(), proves=True)

    async def submit(self, submission: Submission, progress: Progress) -> str:
        return await self._do(lambda one: one.submit(submission, progress), proves=True)

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        return await self._do(lambda one: one.find_by_name(name, since), proves=True)

    async def status(self, remote_id: str) -> RemoteStatus:
        return await self._do(lambda one: one.status(remote_id))

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        return await self._do(lambda one: one.status_many(remote_ids))

    async def cancel(self, remote_id: str) -> None:
        await self._do(lambda one: one.cancel(remote_id))

    async def restart(self, remote_id: str) -> None:
        await self._do(lambda one: one.restart(remote_id))

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        return await self._do(lambda one: one.outputs(remote_id))

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        await self._do(lambda one: one.download(output, sink, archive_password, progress))
