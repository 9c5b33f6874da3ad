"""The transport against servers that do everything wrong."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from yarl import URL

from app.adapters.answers import Answer, raise_for_status
from app.adapters.base import ServiceUnavailable, UntrustedAddress
from app.adapters.failures import NotSent
from app.adapters.transport import Transport, user_agent
from tests.adapters.conftest import patient
from tests.fakes.recording import (
    DEEP,
    GARBAGE,
    HTML_200,
    NOTHING,
    Behaviour,
    RecordingServer,
    answer,
    endless,
    half_an_answer,
    redirect,
    reset,
    silent,
)

TOKEN = {"X-Auth-Token": "secret-token-1"}


@pytest.fixture
async def server() -> AsyncIterator[RecordingServer]:
    async with RecordingServer() as made:
        yield made


async def _call(
    transport: Transport, server: RecordingServer, path: str = "/a/secret-path"
) -> Answer:
    return await transport.request_json(
        "GET", URL(server.url + path), headers=TOKEN, allow_insecure=True
    )


async def test_request_when_the_service_answers_then_whole_and_recorded(
    transport: Transport, server: RecordingServer
) -> None:
    server.misbehave(answer(200, '{"a": 1}', Set_Cookie="session=1"))
    # By name: aiohttp keeps no cookies of numeric hosts, and the test would prove nothing.
    url = URL(f"http://localhost:{server.port}/a")
    for _ in range(2):
        said = await transport.request_json("GET", url, headers=TOKEN, allow_insecure=True)
        assert said.object() == {"a": 1}
    first, second = server.requests
    assert first.headers["User-Agent"] == "fip/test"
    assert first.headers["X-Auth-Token"] == "secret-token-1"
    assert first.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in second.headers


async def test_call_when_it_has_no_body_then_no_type_of_one_is_named(
    transport: Transport, server: RecordingServer
) -> None:
    server.misbehave(answer(200, '{"run_id": "1"}'))
    url = URL(server.url + "/runs/1/cancel")
    await transport.request_json("POST", url, allow_insecure=True)
    await transport.request_json("POST", url, form={"a": "b"}, allow_insecure=True)
    empty, form = server.requests
    assert "Content-Type" not in empty.headers
    assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("behaviour", [HTML_200, NOTHING, GARBAGE, DEEP, answer(200, b"\xff\xfe")])
async def test_answer_when_not_json_then_unavailable(
    transport: Transport, server: RecordingServer, behaviour: Behaviour
) -> None:
    server.misbehave(behaviour)
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1 answered with"):
        (await _call(transport, server)).object()


@pytest.mark.parametrize("body", ["[]", "1", "null", '"x"', "true"])
async def test_answer_when_json_but_no_object_then_unavailable(
    transport: Transport, server: RecordingServer, body: str
) -> None:
    server.misbehave(answer(200, body))
    with pytest.raises(ServiceUnavailable, match="makes no sense"):
        (await _call(transport, server)).object()


async def test_request_when_the_answer_has_no_end_then_cut_at_the_limit(
    transport: Transport, server: RecordingServer
) -> None:
    server.misbehave(endless)
    with pytest.raises(ServiceUnavailable, match="too large"):
        await transport.request_json(
            "GET", URL(server.url), allow_insecure=True, limit_bytes=1024 * 1024
        )


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (reset, "broke the connection off"),
        (half_an_answer, "broke off its answer"),
        (silent, "in time"),
    ],
)
async def test_request_when_the_connection_breaks_then_unavailable_without_the_path(
    transport: Transport,
    hasty: Transport,
    server: RecordingServer,
    behaviour: Behaviour,
    words: str,
) -> None:
    server.misbehave(behaviour)
    chosen = patient(behaviour, transport, hasty)
    with pytest.raises(ServiceUnavailable, match=words) as caught:
        await _call(chosen, server)
    assert "secret" not in caught.value.reason
    assert not isinstance(caught.value, NotSent)


async def test_request_when_it_is_redirected_then_not_followed_and_the_token_stays(
    transport: Transport, server: RecordingServer
) -> None:
    async with RecordingServer() as other:
        server.misbehave(redirect(f"http://localhost:{other.port}/steal?secret=1"))
        said = await _call(transport, server)
        with pytest.raises(ServiceUnavailable, match="redirects to localhost:") as caught:
            raise_for_status(said)
        assert "steal" not in caught.value.reason
        assert other.requests == []


async def test_request_when_it_has_no_body_then_no_content_type_is_claimed(
    transport: Transport, server: RecordingServer
) -> None:
    """Incident: wes-service answered a cancel with 415, as an empty body is no `application/octet-stream`."""
    url = URL(server.url + "/runs/1/cancel")
    await transport.request_json("POST", url, allow_insecure=True)
    await transport.request_json("POST", url, form={"a": "b"}, allow_insecure=True)
    kinds = [request.headers.get("Content-Type") for request in server.requests]
    assert kinds == [None, "application/x-www-form-urlencoded"]


async def test_request_when_nobody_listens_then_not_sent(transport: Transport) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(NotSent, match="cannot be reached"):
        await transport.request_json("GET", URL(f"http://127.0.0.1:{port}/"), allow_insecure=True)


async def test_request_when_the_name_is_unknown_then_not_sent() -> None:
    def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with Transport(user_agent="t", lookup=look_up) as transport:
        with pytest.raises(NotSent, match=r"x\.test cannot be found"):
            await transport.request_json("GET", URL("https://x.test/"))


@pytest.mark.parametrize("host", ["a" * 64 + ".org", "a..org"])
async def test_request_when_the_host_can_be_no_name_then_not_sent(
    transport: Transport, host: str
) -> None:
    with pytest.raises(NotSent):
        await transport.request_json("GET", URL(f"https://{host}/"))
    with pytest.raises(ServiceUnavailable):
        async with transport.stream_get(URL(f"https://{host}/a.vcf.gz", encoded=True)):
            raise AssertionError("nothing can be fetched there")


async def test_request_when_tls_fails_then_not_sent(
    transport: Transport, server: RecordingServer
) -> None:
    with pytest.raises(NotSent, match="No secure connection"):
        await transport.request_json("GET", URL(f"https://127.0.0.1:{server.port}/"))
    assert server.requests == []


@pytest.mark.parametrize(
    "reply", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00\x01"]
)
async def test_request_when_the_peer_speaks_no_http_then_unavailable(
    hasty: Transport, reply: bytes
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ServiceUnavailable):
            await hasty.request_json("GET", URL(f"http://127.0.0.1:{port}/"), allow_insecure=True)


async def test_request_when_an_answer_drips_then_the_whole_time_is_bounded(
    hasty: Transport, server: RecordingServer
) -> None:
    """Each byte comes well within a read timeout; only a limit on the whole ends this."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    server.misbehave(drip)
    with pytest.raises(ServiceUnavailable, match="in time"):
        await _call(hasty, server)


@pytest.mark.parametrize("kept", [False, True])
async def test_once_when_the_connection_breaks_then_never_repeated(
    transport: Transport, server: RecordingServer, kept: bool
) -> None:
    """Left alone, aiohttp repeats a GET; a download would count twice, and a restart happen twice."""
    if kept:
        server.misbehave(answer(200, "{}"))
        await _call(transport, server)
        await _fetch(transport, server.url)
        server.behave()
        server.requests.clear()
    server.misbehave(reset)
    with pytest.raises(ServiceUnavailable, match="broke the connection off") as caught:
        await transport.request_json("GET", URL(server.url), allow_insecure=True, once=True)
    assert not isinstance(caught.value, NotSent)
    with pytest.raises(ServiceUnavailable, match="broke the connection off"):
        await _fetch(transport, server.url)
    assert len(server.requests) == 2
    assert all(request.headers["Connection"] == "close" for request in server.requests)


# Downloads ------------------------------------------------------------------------------------------------------------


async def _fetch(transport: Transport, url: str) -> tuple[int, bytes]:
    async with transport.stream_get(URL(url), allow_insecure=True) as download:
        return download.answer.status, b"".join([piece async for piece in download.chunks])


async def test_download_when_redirected_to_another_host_then_followed_without_anything_secret(
    transport: Transport, server: RecordingServer
) -> None:
    async with RecordingServer() as other:
        signed = "/bucket/chr%2020.zip?X-Amz-Signature=a%2Fb%3D&x=1"
        server.misbehave(redirect(f"http://localhost:{other.port}{signed}", 301))
        other.misbehave(answer(200, b"content"))
        assert await _fetch(transport, server.url + "/share") == (200, b"content")
        (arrived,) = other.requests
        assert arrived.target == signed
        assert "X-Auth-Token" not in arrived.headers
        assert "Referer" not in arrived.headers
        assert "Cookie" not in arrived.headers


@pytest.mark.parametrize(("hops", "followed"), [(1, True), (3, True), (4, False)])
async def test_download_when_redirected_often_then_three_hops_at_most(
    transport: Transport, server: RecordingServer, hops: int, followed: bool
) -> None:
    for hop in range(hops):
        server.misbehave(redirect(f"/hop{hop + 1}"), f"/hop{hop}")
    server.misbehave(answer(200, b"x"), f"/hop{hops}")
    if followed:
        assert await _fetch(transport, server.url + "/hop0") == (200, b"x")
    else:
        with pytest.raises(ServiceUnavailable, match="too often"):
            await _fetch(transport, server.url + "/hop0")
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data", UntrustedAddress),
        ("http://[::1]:{port}/x", UntrustedAddress),
        ("http://10.0.0.1/x", UntrustedAddress),
        ("file:///etc/passwd", ServiceUnavailable),
        ("ftp://localhost/x", UntrustedAddress),
        ("http://user:pw@localhost:{port}/x", UntrustedAddress),
        ("", ServiceUnavailable),
        ("http://[bad", ServiceUnavailable),
    ],
)
async def test_download_when_redirected_to_a_forbidden_place_then_refused(
    transport: Transport, server: RecordingServer, location: str, kind: type[Exception]
) -> None:
    server.misbehave(redirect(location.format(port=server.port)))
    with pytest.raises(kind):
        await _fetch(transport, server.url + "/share")
    assert len(server.requests) == 1


async def test_download_when_redirected_from_https_to_http_then_refused(
    server: RecordingServer, tls: "tuple[ssl.SSLContext, ssl.SSLContext]"
) -> None:
    server_side, client_side = tls

    async def lead_away(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": server.url})

    runner = web.ServerRunner(web.Server(lead_away))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_side)
    await site.start()
    port = runner.addresses[0][1]
    async with Transport(
        user_agent="t", allowed_networks=["127.0.0.0/8"], ssl_context=client_side
    ) as transport:
        with pytest.raises(UntrustedAddress, match="plain http"):
            await _fetch(transport, f"https://localhost:{port}/")
    await runner.cleanup()
    assert server.requests == []


async def test_download_when_the_body_is_cut_then_unavailable(
    transport: Transport, server: RecordingServer
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"x" * 1000)
        return await reset(request)

    server.misbehave(cut)
    with pytest.raises(ServiceUnavailable, match="broke off"):
        await _fetch(transport, server.url)


async def test_download_when_bytes_stop_coming_then_unavailable(
    hasty: Transport, server: RecordingServer
) -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 1000)
        await asyncio.sleep(30)
        return response

    server.misbehave(stall)
    with pytest.raises(ServiceUnavailable, match="in time"):
        await _fetch(hasty, server.url)


async def test_download_when_labelled_as_encoded_then_the_bytes_stay_as_sent(
    transport: Transport, server: RecordingServer
) -> None:
    """Object stores label `.vcf.gz` as gzip-encoded; unpacking it would store another file than the one offered."""
    packed = gzip.compress(b"##fileformat=VCFv4.2")
    server.misbehave(answer(200, packed, "application/gzip", Content_Encoding="gzip"))
    assert await _fetch(transport, server.url) == (200, packed)


async def test_download_when_the_status_is_an_error_then_its_words_are_there(
    transport: Transport, server: RecordingServer
) -> None:
    server.misbehave(answer(400, '{"success":false,"message":"number of max downloads exceeded."}'))
    async with transport.stream_get(URL(server.url), allow_insecure=True) as download:
        assert download.answer.status == 400
        assert download.answer.message() == "number of max downloads exceeded."


def test_user_agent_when_the_url_is_odd_then_one_printable_line() -> None:
    assert user_agent("0.1.0", "https://fip.example.org") == (
        "federated-imputation-platform/0.1.0 (+https://fip.example.org)"
    )
    assert user_agent("1", "http://x\r\nEvil: y é" + "z" * 500).isprintable()
    assert len(user_agent("1", "z" * 500)) == 250
