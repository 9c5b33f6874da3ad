"""What the server says of a token, of its health and of itself."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.adapters.base import CredentialRejected, ServiceUnavailable
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.transport import Transport
from tests.adapters.conftest import michigan
from tests.fakes.cloudgene import GOOD_TOKEN, REVOKED_TOKEN, FakeCloudgene
from tests.fakes.cloudgene_form import PANEL
from tests.fakes.recording import GARBAGE, HTML_502, answer

# Credentials ----------------------------------------------------------------------------------------------------------


async def test_verify_when_the_token_is_good_then_account_and_expiry(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    report = await adapter.verify_credential()
    assert report.valid
    assert report.account_name == "jdoe"
    assert report.expires_at == datetime(2099, 12, 31, tzinfo=UTC)
    assert report.message is None
    (request,) = cloudgene.requests
    assert "X-Auth-Token" not in request.headers
    assert GOOD_TOKEN not in request.target


@pytest.mark.parametrize("token", ["garbage", REVOKED_TOKEN, "with blank", "", None, "ünicode"])
async def test_verify_when_the_token_is_bad_then_a_report_and_no_exception(
    transport: Transport, cloudgene: FakeCloudgene, token: str | None
) -> None:
    for site_verifies in (True, False):
        cloudgene.tokens_verify = site_verifies
        report = await michigan(transport, cloudgene.url, token).verify_credential()
        assert not report.valid
        assert report.message
        assert not token or token not in report.message


async def test_verify_when_the_site_cannot_verify_then_the_profile_tells(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.tokens_verify = False
    report = await adapter.verify_credential()
    assert (report.valid, report.account_name) == (True, "jdoe")
    assert report.expires_at == datetime(2100, 1, 1, tzinfo=UTC)
    assert cloudgene.seen("/api/v2/users/jdoe/profile")


async def test_verify_when_the_server_is_in_trouble_then_unavailable_not_invalid(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.misbehave(HTML_502, "/api/v2/tokens")
    with pytest.raises(ServiceUnavailable):
        await adapter.verify_credential()


# Health and description -----------------------------------------------------------------------------------------------


async def test_health_when_asked_then_without_a_token(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    for token in (GOOD_TOKEN, REVOKED_TOKEN, None):
        health = await michigan(transport, cloudgene.url, token).health()
        assert not health.maintenance
        assert health.queue_length == 7
        assert 0 <= health.latency_s < 60
    assert not any("X-Auth-Token" in request.headers for request in cloudgene.requests)


async def test_health_when_in_maintenance_then_said(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.maintenance = True
    assert (await adapter.health()).maintenance
    cloudgene.misbehave(
        answer(503, '{"message":"This functionality is currently under maintenance."}')
    )
    assert (await adapter.health()).maintenance


async def test_health_when_there_are_no_counters_then_no_queue_length(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    for behaviour in (
        HTML_502,
        GARBAGE,
        answer(200, '{"queue":{"size":"x"}}'),
        answer(200, '{"queue":{"size":-1}}'),
    ):
        cloudgene.behave()
        cloudgene.misbehave(behaviour, "/api/v2/server/counters")
        assert (await adapter.health()).queue_length is None


async def test_describe_when_read_then_everything_the_form_lists(adapter: MichiganAdapter) -> None:
    described = await adapter.describe()
    assert described.server_name == "Fake Imputation Server"
    assert (described.app_id, described.app_version) == ("imputationserver2@2.0.12", "2.0.12")
    panel, bare = described.panels
    assert (panel.key, panel.name) == (PANEL, "H3Africa v6 (GRCh38/hg38)")
    assert (panel.builds, panel.version) == (("hg38",), "1.0.0")
    assert [choice.key for choice in panel.populations] == ["afr", "AA", "off"]
    assert bare.populations == ()
    assert described.builds == ("hg19", "hg38")
    assert described.phasings == ("beagle", "eagle", "no_phasing")
    assert described.default_phasing == "eagle"
    assert described.modes == ("imputation", "qc_only")
    assert {option.id for option in described.options} == {"r2Filter", "meta"}


async def test_describe_when_not_signed_in_then_credential_rejected(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    with pytest.raises(CredentialRejected, match="accounts only"):
        await michigan(transport, cloudgene.url, None).describe()
    with pytest.raises(CredentialRejected, match="did not accept"):
        await michigan(transport, cloudgene.url, "garbage").describe()


async def test_adapter_when_shown_then_no_secret(adapter: MichiganAdapter) -> None:
    assert GOOD_TOKEN not in repr(adapter)
    assert GOOD_TOKEN not in repr(adapter._client)
    status = await adapter.status("job-1")
    assert replace(status).remote_id == "job-1"
