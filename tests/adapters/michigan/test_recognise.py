"""Recognising a Cloudgene server at whatever address somebody pasted."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from app.adapters.base import Credential, Recognised, ServiceUnavailable, UntrustedAddress
from app.adapters.michigan.recognise import MAX_ROOTS, recognise, roots
from app.adapters.transport import Transport
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.cloudgene_form import APP, PANEL
from tests.fakes.recording import RecordingServer, silent

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def look(transport: Transport, url: str, token: str | None = None) -> Recognised | None:
    credential = Credential(token=token) if token else None
    return await recognise(transport, url, allow_insecure=True, credential=credential)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x.org", ["https://x.org"]),
        ("https://x.org/index.html", ["https://x.org"]),
        ("https://x.org/api/v2/server", ["https://x.org"]),
        ("https://x.org:8443/a/b/api/v2", ["https://x.org:8443/a/b", "https://x.org:8443/a", "https://x.org:8443"]),
        ("https://x.org/a/b/c/d/e", ["https://x.org/a/b/c/d/e", "https://x.org/a/b/c/d", "https://x.org/a/b/c", "https://x.org/a/b", "https://x.org"]),
    ],
)  # fmt: skip
def test_roots_when_a_page_is_given_then_the_nearest_first_and_a_few_only(
    url: str, expected: list[str]
) -> None:
    assert roots(url) == expected
    assert len(expected) <= MAX_ROOTS


@pytest.mark.parametrize("page", ["", "/index.html", "/api/v2/server", "/pages/help", "/run/x/y"])
@pytest.mark.parametrize("prefix", ["", "/impute"])
async def test_recognise_when_any_page_of_it_is_given_then_its_root_is_found(
    transport: Transport, prefix: str, page: str
) -> None:
    async with FakeCloudgene(prefix=prefix) as server:
        found = await look(transport, server.url + page)
        assert found is not None
        assert found.base_url == server.url
        assert (found.api_type, found.dialect) == ("michigan", "cloudgene3")
        assert found.name == "Fake Imputation Server"
        assert found.credential_kind == "token"
        assert (found.panels, found.apps) == ((), ())
        assert "token" in found.notes[0]
        assert all("X-Auth-Token" not in request.headers for request in server.requests)


async def test_recognise_when_a_token_is_given_then_apps_and_panels_are_told(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    found = await look(transport, cloudgene.url, GOOD_TOKEN)
    assert found is not None
    assert found.apps[0].key == APP
    assert found.panels[0].key == PANEL
    assert found.builds == ("hg19", "hg38")
    assert found.notes == ()
    assert GOOD_TOKEN not in repr(found)


async def test_recognise_when_the_token_is_bad_then_found_all_the_same_with_a_note(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    found = await look(transport, cloudgene.url, "not-a-token-of-it")
    assert found is not None
    assert found.panels == ()
    assert "could not be read" in found.notes[0]
    assert "not-a-token" not in repr(found)


async def test_recognise_when_it_is_under_maintenance_then_found_and_said(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    cloudgene.maintenance = True
    found = await look(transport, cloudgene.url, GOOD_TOKEN)
    assert found is not None
    assert any("maintenance" in note for note in found.notes)


async def test_recognise_when_it_is_of_the_second_generation_then_said(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    async def old(_request: web.Request) -> web.Response:
        return web.json_response({"name": "Old", "loggedIn": False, "apps": []})

    cloudgene.misbehave(old, "/api/v2/server")
    found = await look(transport, cloudgene.url)
    assert found is not None
    assert found.dialect == "cloudgene2"


async def page(_request: web.Request) -> web.Response:
    return web.Response(text="<html>hello</html>", content_type="text/html")


async def other_json(_request: web.Request) -> web.Response:
    return web.json_response({"apps": "none", "loggedIn": True})


async def listing(_request: web.Request) -> web.Response:
    return web.json_response([{"apps": []}])


async def apps_alone(_request: web.Request) -> web.Response:
    return web.json_response({"apps": [], "unrelated": True})


@pytest.mark.parametrize("behaviour", [page, other_json, listing, apps_alone])
async def test_recognise_when_something_else_lives_there_then_none_and_no_token_is_shown(
    transport: Transport, behaviour: Behaviour
) -> None:
    async with RecordingServer() as server:
        server.misbehave(behaviour)
        assert await look(transport, server.url, GOOD_TOKEN) is None
        assert all(GOOD_TOKEN not in str(request.headers) for request in server.requests)


async def elsewhere(_request: web.Request) -> web.Response:
    raise web.HTTPFound("https://elsewhere.example.org/secret-path")


async def broken(_request: web.Request) -> web.Response:
    return web.Response(status=502, text="<html>bad gateway</html>")


@pytest.mark.parametrize(("behaviour", "word"), [(elsewhere, "elsewhere.example.org"), (broken, "502")])  # fmt: skip
async def test_recognise_when_the_host_is_in_trouble_then_it_is_said_and_not_none(
    transport: Transport, behaviour: Behaviour, word: str
) -> None:
    async with RecordingServer() as server:
        server.misbehave(behaviour)
        with pytest.raises(ServiceUnavailable, match=word) as caught:
            await look(transport, server.url)
        assert "secret-path" not in caught.value.reason


async def test_recognise_when_nothing_answers_then_unavailable(
    transport: Transport, hasty: Transport
) -> None:
    with pytest.raises(ServiceUnavailable):
        await look(transport, "http://127.0.0.1:1")
    async with RecordingServer() as server, asyncio.timeout(20):
        server.misbehave(silent)
        with pytest.raises(ServiceUnavailable):
            await look(hasty, server.url)


async def test_recognise_when_the_address_is_forbidden_then_the_guard_refuses(
    transport: Transport,
) -> None:
    for url in ("http://169.254.169.254/latest", "http://10.0.0.1"):
        with pytest.raises(UntrustedAddress):
            await look(transport, url)
    with pytest.raises(UntrustedAddress):
        await recognise(transport, "http://127.0.0.1:1", allow_insecure=False, credential=None)
