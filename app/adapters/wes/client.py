"""Calls to one WES server with one credential.

Paths are joined to the base URL as text: some servers serve at the root, others below `/ga4gh/wes/v1` (or anything else).
"""

import asyncio
import re
from collections.abc import Mapping

import msgspec
from yarl import URL

from app.adapters import loose
from app.adapters.answers import Answer, raise_for_status
from app.adapters.base import (
    AdapterError,
    Credential,
    CredentialRejected,
    Rejected,
    ServiceUnavailable,
)
from app.adapters.endpoint import Endpoint
from app.adapters.transport import Transport
from app.adapters.wes.config import Auth, WesConfig
from app.adapters.wes.info import ServiceInfo, detect, is_service_info, read_info

_LONGEST = 8192
_SIGNATURES = frozenset({"x-amz-signature", "x-goog-signature", "signature", "sig"})
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class Client:
    """The API below one base URL. `secrets` are the strings to keep out of every text that comes back."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        config: WesConfig,
        credential: Credential | None,
    ) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.config = config
        self.host = endpoint.host
        self.origin = URL(endpoint.root).origin()
        self.allow_insecure = endpoint.allow_insecure
        self.kind = auth_kind(config.auth, credential)
        self._credential = credential
        self._logged_in: str | None = None
        self._logging_in = asyncio.Lock()
        self._info: ServiceInfo | None = None
        self._agent = {"User-Agent": config.user_agent} if config.user_agent else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token, the password, and the token that the password gave."""
        own = self._credential
        candidates = (own.token, own.password) if own else ()
        return tuple(item for item in (*candidates, self._logged_in) if item)

    @property
    def username(self) -> str | None:
        """The name of the account, where the credential has one."""
        return self._credential.username if self._credential else None

    async def auth(self) -> dict[str, str]:
        """Give the headers that carry the credential. Raises `CredentialRejected` where there is none that is usable."""
        if self.kind == "none":
            return {}
        if self.kind == "password":
            return {"Authorization": f"Bearer {await self._login()}"}
        token = _usable(self._credential.token if self._credential else None, self.host)
        if self.kind == "header":
            return {(self.config.auth and self.config.auth.name) or "Authorization": token}
        return {"Authorization": f"Bearer {token}"}

    async def headers_for(self, url: URL) -> dict[str, str]:
        """Give the headers for an address that a server named: the credential goes to the base URL's origin only."""
        is_own = url.origin() == self.origin and not is_signed(url)
        return {**(await self.auth() if is_own else {}), **self._agent}

    async def call(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        auth: bool = True,
        once: bool = False,
    ) -> Answer:
        """Make a call below the base URL and give the answer whatever its status."""
        return await self.at(method, self.endpoint.at(*path, query=query), auth=auth, once=once)

    async def at(self, method: str, url: URL, *, auth: bool = True, once: bool = False) -> Answer:
        """Make a call to an address of the service's origin; give the answer whatever its status."""
        headers = {**(await self.auth() if auth else {}), **self._agent}
        answer = await self.transport.request_json(
            method, url, headers=headers, allow_insecure=self.allow_insecure, once=once
        )
        if answer.status == 401 and auth and self.forget(headers):
            # 401 says that nothing was done: once more, with a new token.
            headers = {**await self.auth(), **self._agent}
            answer = await self.transport.request_json(
                method, url, headers=headers, allow_insecure=self.allow_insecure, once=once
            )
        return answer

    def forget(self, refused: Mapping[str, str]) -> bool:
        """Forget the token that a password gave, which these headers carried, as it has ended. Say whether there was one."""
        carried = refused.get("Authorization")
        if carried == f"Bearer {self._logged_in}":
            self._logged_in = None
        return carried is not None and self.kind == "password"

    async def upload_headers(self) -> dict[str, str]:
        """Give the headers of a submission."""
        return {**await self.auth(), **self._agent}

    async def service_info(self) -> ServiceInfo:
        """Read `/service-info`, once per adapter; without the credential, and with it only where that is asked for.

        A bad token makes some servers refuse even this, while none at all is fine (sapporo).
        """
        if self._info is None:
            answer = await self.call("GET", "service-info", auth=False)
            if answer.status in {401, 403} and self.kind != "none":
                answer = await self.call("GET", "service-info")
            self._info = read_info(self.info_object(answer))
        return self._info

    def info_object(self, answer: Answer) -> dict[str, object]:
        """Give the JSON of `/service-info`. Raises `ServiceUnavailable` where something else lives at the address."""
        if answer.status in {404, 405, 410}:
            raise ServiceUnavailable(
                f"{self.host} has no such API: an administrator should check the service's address."
            )
        raise_for_status(answer, self.secrets)
        said = answer.object()
        if not is_service_info(said):
            raise ServiceUnavailable(f"{self.host} does not answer as a WES server does.")
        return said

    async def dialect(self) -> str:
        """Give the configured dialect, or the one that `/service-info` shows."""
        if self.config.dialect != "auto":
            return self.config.dialect
        return detect(await self.service_info())

    def dialect_known(self) -> str | None:
        """Give the dialect where no call is needed to tell it."""
        if self.config.dialect != "auto":
            return self.config.dialect
        return detect(self._info) if self._info is not None else None

    async def _login(self) -> str:
        """Change user name and password for a token, once per adapter, however many calls are made at the same time."""
        async with self._logging_in:
            if self._logged_in is None:
                self._logged_in = await self._token_for_password()
            return self._logged_in

    async def _token_for_password(self) -> str:
        own = self._credential
        if own is None or not own.username or not own.password:
            raise CredentialRejected(
                f"{self.host} asks for a user name and a password and none are stored."
            )
        answer = await self.transport.request_json(
            "POST",
            self._token_url(),
            headers=self._agent,
            form={"username": own.username, "password": own.password},
            allow_insecure=self.allow_insecure,
        )
        if 400 <= answer.status < 500 and answer.status not in {404, 405, 408, 425, 429}:
            said = answer.message((own.password,))
            raise CredentialRejected(
                f"{answer.host} did not accept the user name and password"
                + (f": {said}" if said else ".")
            )
        try:
            raise_for_status(answer, (own.password,))
        except (Rejected, AdapterError) as error:
            raise ServiceUnavailable(error.reason) from error
        token = loose.as_text(answer.object().get("access_token"))
        if not token:
            raise ServiceUnavailable(f"{answer.host} gave no token for the user name and password.")
        return _usable(token, answer.host)

    def _token_url(self) -> URL:
        given = (self.config.auth.token_url if self.config.auth else None) or "token"
        url = URL(given)
        if url.absolute:
            return url
        return URL(self.endpoint.root + "/").join(url)


def auth_kind(auth: Auth | None, credential: Credential | None) -> str:
    """Give how the credential travels; where the configuration does not say, by what was stored."""
    if auth is not None:
        return auth.kind
    if credential is None:
        return "none"
    return "password" if credential.token is None and credential.password else "bearer"


def is_signed(url: URL) -> bool:
    """Say whether an address carries its own signature: object stores refuse a second credential."""
    return any(name.lower() in _SIGNATURES for name in url.query)


def is_run_id(text: object) -> bool:
    """Say whether this can be the id of a run: fit to stand in a path and a database."""
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


def json_object(answer: Answer) -> dict[str, object] | None:
    """Give the body where it is a JSON object, else None: a proxy's page, nothing, or garbage."""
    try:
        parsed = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _usable(token: str | None, host: str) -> str:
    if not token:
        raise CredentialRejected(f"{host} asks for a token and none is stored.")
    if len(token) > _LONGEST or any(not "!" <= c <= "~" for c in token):
        raise CredentialRejected("The stored token holds characters that no token has.")
    return token
