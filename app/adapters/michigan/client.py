"""Calls to one Cloudgene server with one token."""

from collections.abc import Mapping

import msgspec

from app.adapters import loose
from app.adapters.answers import Answer, raise_for_status
from app.adapters.base import Credential, Rejected, ServiceUnavailable
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.michigan.tokens import header_value
from app.adapters.transport import Transport

TOKEN_HEADER = "X-Auth-Token"  # noqa: S105 - a header's name (cloudgene3 application.yml)
API = ("api", "v2")


class Client:
    """The API below one base URL. `secrets` are the strings to keep out of every text that comes back."""

    def __init__(
        self, transport: Transport, endpoint: Endpoint, credential: Credential | None
    ) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.host = endpoint.host
        self.token = credential.token if credential else None
        self.secrets = tuple(
            secret for secret in (self.token, credential.password if credential else None) if secret
        )

    def auth(self) -> dict[str, str]:
        """Give the headers that carry the token. Raises `CredentialRejected` where there is none that is usable."""
        return {TOKEN_HEADER: header_value(self.token, self.host)}

    async def get(
        self,
        *path: str,
        query: Mapping[str, str] | None = None,
        auth: bool = True,
        once: bool = False,
    ) -> Answer:
        """Make a GET call below `/api/v2` and give the answer whatever its status. `once`: never repeat it."""
        return await self.transport.request_json(
            "GET",
            self.endpoint.at(*API, *path, query=query),
            headers=self.auth() if auth else {},
            allow_insecure=self.endpoint.allow_insecure,
            once=once,
        )

    async def get_root(self) -> Answer:
        """Get the base URL itself, without the token; give the answer whatever its status."""
        return await self.transport.request_json(
            "GET", self.endpoint.at(), allow_insecure=self.endpoint.allow_insecure
        )

    async def get_log(self, job_id: str) -> Answer:
        """Get a job's log, which stands outside `/api/v2` (cloudgene3 `LogController`)."""
        return await self.transport.request_json(
            "GET",
            self.endpoint.at("logs", job_id),
            headers=self.auth(),
            allow_insecure=self.endpoint.allow_insecure,
        )

    async def call(
        self, *path: str, query: Mapping[str, str] | None = None, once: bool = False
    ) -> Answer:
        """Make a GET call and give a 2xx answer. Raises what the status stands for (`check`)."""
        answer = await self.get(*path, query=query, once=once)
        self.check(answer)
        return answer

    async def post_form(self, *path: str, form: Mapping[str, str]) -> Answer:
        """Post a short form below `/api/v2`, without the token header; give the answer whatever its status."""
        return await self.transport.request_json(
            "POST",
            self.endpoint.at(*API, *path),
            form=form,
            allow_insecure=self.endpoint.allow_insecure,
        )

    def check(self, answer: Answer) -> None:
        """Return for 2xx, else raise. A 404 or a refusal that Cloudgene did not word itself is `ServiceUnavailable`.

        Such a one comes from a proxy or from another program at that address, and says nothing about the job:
        taken at its word, an operator's mistake would end every job of the service.
        """
        if answer.status == 405 or (answer.status == 404 and not is_own_404(answer)):
            raise NotSpoken(
                f"{self.host} has no such API: an administrator should check the service's address."
            )
        try:
            raise_for_status(answer, self.secrets)
        except Rejected as error:
            if is_worded(answer):
                raise
            raise ServiceUnavailable(error.reason) from error


def is_worded(answer: Answer) -> bool:
    """Say whether an answer may be in Cloudgene's own words: a JSON object, as each of its refusals is."""
    try:
        return bool(loose.as_dict(msgspec.json.decode(answer.body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False


def is_own_404(answer: Answer) -> bool:
    """Say whether a 404 is Cloudgene's own word about a job, app or file: `{"success":false,"message":…}`.

    The framework's 404 for an unknown route carries `_links` and `_embedded` instead
    (cloudgene3 `JsonHttpStatusException`; Micronaut `HateoasErrorResponseProcessor`).
    """
    if answer.status != 404:
        return False
    try:
        said = loose.as_dict(msgspec.json.decode(answer.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False
    return "success" in said or ("message" in said and not said.keys() & {"_links", "_embedded"})
