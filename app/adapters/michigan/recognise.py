"""Recognising a Cloudgene server at an address that somebody pasted, and what it offers.

`GET /api/v2/server` is open to all in both generations and names `apps`; version 3 names `oauth` too (cloudgene3
`ServerService.getRoot`, cloudgene 2 `Server`). A site may live under a path prefix (cloudgene3 `StartServer`, `baseUrl`), and what
people paste is often a page below it: roots above the address are tried, the nearest first.
"""

from yarl import URL

from app.adapters import loose
from app.adapters.answers import REDIRECTS, Answer, raise_for_status
from app.adapters.base import (
    AdapterError,
    Choice,
    Credential,
    Recognised,
    ServiceDescription,
    ServiceUnavailable,
)
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.client import Client
from app.adapters.michigan.config import parse_config
from app.adapters.michigan.dialects import SIMPLE, of_server
from app.adapters.michigan.simple import is_stranger, speaks_simple
from app.adapters.michigan.simple_words import BUILDS, panels_of
from app.adapters.text import clean_line
from app.adapters.transport import Transport

MAX_ROOTS = 5
_MAX_APPS = 50
_SIGNS = frozenset({"loggedIn", "maintenace", "maintenance", "navigation", "oauth"})


async def recognise(
    transport: Transport, base_url: str, *, allow_insecure: bool, credential: Credential | None
) -> Recognised | None:
    """Say what a server of the family at, or above, the address offers; None where there is none.

    Raises `AdapterError` where nothing can be concluded: no connection, errors of a proxy, a redirect, a refused address.
    """
    trouble: AdapterError | None = None
    strangers: list[Endpoint] = []
    for root in roots(base_url):
        endpoint = Endpoint.parse(root, allow_insecure=allow_insecure)
        answer = await Client(transport, endpoint, None).get("server", auth=False)
        server = _server_page(answer)
        if server is not None:
            return await _proposal(transport, endpoint, server, credential)
        trouble = trouble or _trouble(answer)
        if answer.status == 404 and is_stranger(answer):
            strangers.append(endpoint)
    for endpoint in strangers:
        if await speaks_simple(Client(transport, endpoint, None)):
            return _simple(endpoint)
    if trouble is not None:
        raise trouble
    return None


def _simple(endpoint: Endpoint) -> Recognised:
    return Recognised(
        api_type="michigan",
        base_url=endpoint.root,
        name=None,
        credential_kind="token",
        dialect=SIMPLE.name,
        panels=panels_of({}),
        builds=BUILDS,
        api_config={"dialect": SIMPLE.name},
        notes=(
            "A gateway of the simple dialect: it takes jobs without an app, and describes no panels. Check those shown with its operators.",
        ),
    )


def roots(base_url: str) -> list[str]:
    """Give where a server may live whose address, or a page of whose, this is: the nearest first, the host's root last."""
    url = URL(base_url)
    parts = [part for part in url.path.split("/") if part]
    if parts and parts[-1].endswith((".html", ".htm")):
        parts.pop()
    if "api" in parts:
        parts = parts[: parts.index("api")]
    tried = [parts[:length] for length in range(len(parts), -1, -1)]
    kept = tried if len(tried) <= MAX_ROOTS else [*tried[: MAX_ROOTS - 1], []]
    origin = str(url.origin())
    return ["/".join([origin, *item]) for item in kept]


def _server_page(answer: Answer) -> dict[str, object] | None:
    if answer.status != 200:
        return None
    try:
        page = answer.object()
    except ServiceUnavailable:
        return None
    return page if isinstance(page.get("apps"), list) and _SIGNS & page.keys() else None


def _trouble(answer: Answer) -> AdapterError | None:
    """Give what an answer says about the host itself, rather than about another program that lives there."""
    if answer.status not in REDIRECTS and answer.status < 500:
        return None
    try:
        raise_for_status(answer)
    except AdapterError as error:
        return error
    return None


async def _proposal(
    transport: Transport,
    endpoint: Endpoint,
    server: dict[str, object],
    credential: Credential | None,
) -> Recognised:
    described: ServiceDescription | None = None
    notes = []
    if credential is None:
        notes.append(
            "The server shows its apps and panels to accounts only: give an API token to see them, or read them after it was added."
        )
    else:
        adapter = MichiganAdapter(transport, endpoint, parse_config({}), credential)
        try:
            described = await adapter.describe()
        except AdapterError as error:
            notes.append(f"What it offers could not be read with this token: {error.reason}")
    if server.get("maintenace") is True or server.get("maintenance") is True:
        notes.append("The server says that it is under maintenance.")
    if described is not None and not described.panels:
        notes.append("The app's form lists no reference panels to this account.")
    return Recognised(
        api_type="michigan",
        base_url=endpoint.root,
        name=clean_line(server.get("name"), limit=100) or None,
        credential_kind="token",
        dialect=of_server(server).name,
        version=described.app_version if described else None,
        apps=_apps(server, described),
        panels=described.panels if described else (),
        builds=described.builds if described else (),
        notes=tuple(notes),
    )


def _apps(server: dict[str, object], described: ServiceDescription | None) -> tuple[Choice, ...]:
    """Give the app that would be used first, then those that the page shows to everybody."""
    found = {}
    if described is not None and described.app_id:
        found[described.app_id] = Choice(described.app_id, described.app_id)
    for app in loose.dicts(server.get("apps"), _MAX_APPS):
        key = clean_line(app.get("id"), limit=150)
        if key and key not in found:
            found[key] = Choice(key, clean_line(app.get("name")) or key)
    return tuple(found.values())
