"""Credentials, health, and recognising a server by its address."""

import base64
import json
from datetime import UTC, datetime

import pytest

from app.adapters.base import Credential, CredentialRejected, ServiceUnavailable, UntrustedAddress
from app.adapters.failures import NotSent
from app.adapters.transport import Transport
from app.adapters.wes.parsing import parse_config
from app.adapters.wes.recognise import recognise
from app.core.credentials import secret_keys
from tests.adapters.wes.conftest import SAPPORO, WESKIT, Open
from tests.fakes.recording import HTML_200, HTML_502, RecordingServer, answer
from tests.fakes.wes import GOOD_TOKEN, PASSWORD, USERNAME, FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

LOGIN = Credential(username=USERNAME, password=PASSWORD)


async def test_verify_when_none_is_needed_then_valid_without_a_call(
    weskit: FakeWeskit, at: Open
) -> None:
    assert (await at(weskit.url, WESKIT).verify_credential()).valid
    assert not weskit.requests


async def test_verify_when_the_token_is_a_jwt_then_its_end_is_told(
    sapporo: FakeWes, at: Open
) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 4_102_444_800}).encode()).decode()
    token = f"eyJhbGciOiJIUzI1NiJ9.{claims.rstrip('=')}.c2ln"
    sapporo.tokens.add(token)
    report = await at(sapporo.url, SAPPORO, Credential(token=token)).verify_credential()
    assert report.valid
    assert report.expires_at == datetime(2100, 1, 1, tzinfo=UTC)


async def test_verify_when_a_header_is_configured_then_the_token_travels_there(
    sapporo: FakeWes, at: Open
) -> None:
    sapporo.tokens = set()
    adapter = at(sapporo.url, SAPPORO, auth={"kind": "header", "name": "x-api-key"})
    assert (await adapter.verify_credential()).valid
    (seen,) = sapporo.requests
    assert seen.headers["x-api-key"] == GOOD_TOKEN
    assert "Authorization" not in seen.headers


async def test_password_when_right_then_one_login_and_again_when_the_token_ended(
    sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO, LOGIN, auth={"kind": "password"})
    report = await adapter.verify_credential()
    assert (report.valid, report.account_name, report.expires_at) == (True, USERNAME, None)
    await adapter.find_by_name("x", datetime.now(UTC))
    assert len(sapporo.seen("/token")) == 1
    ended = answer(401, b'{"msg":"Token has expired"}')
    sapporo.misbehave(ended, "/runs", times=1)
    assert await adapter.find_by_name("x", datetime.now(UTC)) == []
    assert len(sapporo.seen("/token")) == 2
    sapporo.behave()
    sapporo.misbehave(ended, "/runs")
    with pytest.raises(CredentialRejected):
        await adapter.find_by_name("x", datetime.now(UTC))


async def test_password_when_wrong_or_missing_then_a_report_without_it(
    sapporo: FakeWes, at: Open
) -> None:
    for credential in (
        Credential(username=USERNAME, password="wrong-pw-9"),
        Credential(token=GOOD_TOKEN),
    ):
        adapter = at(sapporo.url, SAPPORO, credential, auth={"kind": "password"})
        report = await adapter.verify_credential()
        assert not report.valid
        assert "wrong-pw-9" not in (report.message or "")
    sapporo.misbehave(HTML_502, "/token")
    with pytest.raises(ServiceUnavailable):
        await at(sapporo.url, SAPPORO, LOGIN, auth={"kind": "password"}).verify_credential()
    sapporo.behave()
    sapporo.misbehave(answer(200, b'{"token":1}'), "/token")
    with pytest.raises(ServiceUnavailable):
        await at(sapporo.url, SAPPORO, LOGIN, auth={"kind": "password"}).verify_credential()


@pytest.mark.parametrize("token_url", ["token", "/token", None])
async def test_password_when_the_address_is_relative_then_at_the_services_origin(
    sapporo: FakeWes, at: Open, token_url: str | None
) -> None:
    auth = {"kind": "password", "token_url": token_url}
    assert (await at(sapporo.url, SAPPORO, LOGIN, auth=auth).verify_credential()).valid
    assert secret_keys({"auth": auth}) == ()
    assert secret_keys({"auth": {"token": "x"}}) != ()


async def test_auth_when_nothing_is_configured_then_by_what_is_stored(
    sapporo: FakeWes, transport: Transport, at: Open
) -> None:
    config = {key: value for key, value in SAPPORO.items() if key != "auth"}
    for credential in (Credential(token=GOOD_TOKEN), LOGIN):
        assert (await at(sapporo.url, config, credential).verify_credential()).valid
    with pytest.raises(CredentialRejected):
        await at(sapporo.url, config).find_by_name("x", datetime.now(UTC))


async def test_health_when_asked_then_service_info_alone_without_the_credential(
    sapporo: FakeWes, at: Open
) -> None:
    adapter = at(sapporo.url, SAPPORO, user_agent="fip (admin@x.org)")
    health = await adapter.health()
    assert (health.maintenance, health.queue_length) == (False, 3)
    (seen,) = sapporo.requests
    assert seen.path == "/service-info"
    assert "Authorization" not in seen.headers
    assert seen.headers["User-Agent"] == "fip (admin@x.org)"
    sapporo.misbehave(answer(401, b'{"msg":"Not authenticated"}'))
    assert not (await adapter.health()).maintenance
    sapporo.behave()
    sapporo.misbehave(answer(503, b'{"msg":"maintenance until noon"}'))
    assert (await adapter.health()).maintenance


@pytest.mark.parametrize(
    "behaviour", [HTML_200, HTML_502, answer(404, b"{}"), answer(200, b'{"status":"ok"}'), answer(400, b"{}")]
)  # fmt: skip
async def test_health_when_something_else_answers_then_unavailable(
    sapporo: FakeWes, at: Open, behaviour: object
) -> None:
    sapporo.misbehave(behaviour)  # type: ignore[arg-type] # it is one
    with pytest.raises(ServiceUnavailable):
        await at(sapporo.url, SAPPORO).health()


@pytest.mark.parametrize(
    ("kind", "dialect", "credential_kind"),
    [
        (FakeWes, "sapporo", "password"),
        (FakeStarterKit, "starter-kit", "none"),
        (FakeWeskit, "weskit", "none"),
    ],
)
async def test_recognise_when_a_wes_server_is_there_then_a_proposal_that_can_be_stored(
    transport: Transport,
    kind: type[FakeWes | FakeStarterKit | FakeWeskit],
    dialect: str,
    credential_kind: str,
) -> None:
    async with kind() as server:
        origin = f"http://127.0.0.1:{server.port}"
        for given in (server.url, origin, server.url + "/service-info/"):
            found = await recognise(transport, given, allow_insecure=True, credential=None)
            assert found is not None
            assert found.base_url == server.url
            assert (found.api_type, found.dialect) == ("ga4gh_wes", dialect)
            assert found.credential_kind == credential_kind
            assert found.apps
            assert any("workflow.url" in note for note in found.notes)
            parse_config(found.api_config)


async def test_recognise_when_something_else_is_there_then_nothing(transport: Transport) -> None:
    async with RecordingServer() as server:
        assert await recognise(transport, server.url, allow_insecure=True, credential=None) is None
        for behaviour in (HTML_200, HTML_502, answer(200, b'{"apps":[]}'), answer(401, b"{}")):
            server.behave()
            server.misbehave(behaviour)
            seen = await recognise(
                transport, server.url, allow_insecure=True, credential=Credential(token="t")
            )
            assert seen is None


async def test_recognise_when_nothing_can_be_asked_then_said_so(transport: Transport) -> None:
    with pytest.raises(NotSent):
        await recognise(transport, "http://127.0.0.1:1", allow_insecure=True, credential=None)
    with pytest.raises(UntrustedAddress):
        await recognise(transport, "http://127.0.0.1:1", allow_insecure=False, credential=None)
    with pytest.raises(UntrustedAddress):
        await recognise(transport, "https://169.254.169.254", allow_insecure=True, credential=None)
    with pytest.raises(ValueError, match="base URL"):
        await recognise(transport, "ftp://x", allow_insecure=True, credential=None)
