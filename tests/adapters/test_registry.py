"""The table of dialects, what an administrator may set, and the presets."""

import pytest

from app.adapters.base import Credential
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.config import parse_config
from app.adapters.michigan.either import EitherAdapter
from app.adapters.michigan.simple import SimpleAdapter
from app.adapters.presets import PRESETS
from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Transport


async def test_open_when_known_then_the_adapter_of_that_kind(transport: Transport) -> None:
    registry = AdapterRegistry(transport)
    for kind in registry.kinds():
        adapter = registry.open(
            kind, base_url="https://x.org", config={}, credential=Credential(token="t")
        )
        assert adapter.kind == kind
    assert "michigan" in registry.kinds()


async def test_open_when_it_cannot_be_then_value_error_for_an_administrator(
    transport: Transport,
) -> None:
    registry = AdapterRegistry(transport)
    with pytest.raises(ValueError, match="api_type must be one of: michigan"):
        registry.open("nope", base_url="https://x.org", config={}, credential=None)
    with pytest.raises(ValueError, match="base URL"):
        registry.check("michigan", base_url="x.org", config={})
    with pytest.raises(ValueError, match="api_config"):
        registry.check("michigan", base_url="https://x.org", config={"app": 7})
    registry.check(
        "michigan", base_url="https://x.org/prefix/", config={"api_token": "x", "anything": [1]}
    )


@pytest.mark.parametrize(
    "url",
    ["", "x.org", "ftp://x.org", "https://", "https://user:pw@x.org", "https://x.org?a=b", "https://x.org#f", "http://[::1",
     "https://x.org:99999", "javascript:alert(1)", "https:///x", "//x.org"],
)  # fmt: skip
def test_endpoint_when_the_url_is_impossible_then_value_error_without_it(url: str) -> None:
    with pytest.raises(ValueError, match="the base URL") as caught:
        Endpoint.parse(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://x.org", "https://x.org/api/v2/jobs/a%40b%2Fc"),
        ("https://x.org/", "https://x.org/api/v2/jobs/a%40b%2Fc"),
        (" https://x.org:8443/pre/fix// ", "https://x.org:8443/pre/fix/api/v2/jobs/a%40b%2Fc"),
        ("http://[::1]:80", "http://[::1]/api/v2/jobs/a%40b%2Fc"),
    ],
)
def test_endpoint_when_a_path_is_asked_for_then_below_the_prefix_and_encoded(
    base: str, expected: str
) -> None:
    assert str(Endpoint.parse(base).at("api", "v2", "jobs", "a@b/c")) == expected
    with_query = Endpoint.parse(base).at("api", "v2", "jobs", "a@b/c", query={"page": "1&x"})
    assert str(with_query) == expected + "?page=1%26x"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_endpoint_when_a_segment_would_climb_then_value_error(segment: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        Endpoint.parse("https://x.org").at("api", segment)


@pytest.mark.parametrize(
    "config",
    [
        {"app": "a b"}, {"app": "../x"}, {"app": ""}, {"app": "x@"}, {"app": ["x"]}, {"allow_insecure": "yes"}, {"account_limit": 0},
        {"account_limit": "3"}, {"extra_fields": {"files": "x"}}, {"extra_fields": {"password": "x"}}, {"extra_fields": {"a\n": "x"}},
        {"extra_fields": {"a": "x\ny"}}, {"extra_fields": {"": "x"}}, {"extra_fields": {"a": 1}}, {"extra_fields": []}, {"dialect": "cloudgene4"}, {"min_poll_s": 0}, {"min_poll_s": 90_000}, {"panels": {"a b": {"name": "x"}}}, {"panels": {"a": {}}},
    ],
)  # fmt: skip
def test_parse_config_when_a_value_is_impossible_then_value_error(
    config: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="api_config"):
        parse_config(config)


def test_parse_config_when_good_then_read_and_foreign_keys_ignored() -> None:
    config = parse_config(
        {
            "app": "imputationserver2@2.0.12",
            "extra_fields": {"check1": "accepted"},
            "api_token": "x",
            "account_limit": None,
        }
    )
    assert config.app == "imputationserver2@2.0.12"
    assert config.extra_fields == {"check1": "accepted"}
    assert not config.allow_insecure
    assert parse_config({}).app is None


async def test_presets_when_opened_then_each_can_be(transport: Transport) -> None:
    registry = AdapterRegistry(transport)
    assert {"h3africa", "michigan", "topmed", "ilifu", "ilifu-starter-kit"} <= set(PRESETS)
    for slug, preset in PRESETS.items():
        assert preset.slug == slug
        assert preset.allow_insecure == preset.base_url.startswith("http://")
        assert preset.credential_policy == "per_user"
        assert preset.poll_interval_s >= 60
        config = {**preset.api_config, "allow_insecure": preset.allow_insecure}
        registry.check(preset.api_type, base_url=preset.base_url, config=config)
        assert preset.api_config.get("min_poll_s", 60.0) == 60.0
        keys = [panel.key for panel in preset.panels]
        assert len(set(keys)) == len(keys)
    assert [panel.name for panel in PRESETS["h3africa"].panels] == [
        "H3Africa Reference Panel",
        "1000 Genomes - African Subset",
        "African Genome Variation Project",
    ]


async def test_adapter_when_made_then_it_satisfies_the_protocol_at_run_time(
    transport: Transport,
) -> None:
    registry = AdapterRegistry(transport)
    for dialect, expected in (
        ("auto", EitherAdapter),
        ("cloudgene", MichiganAdapter),
        ("cloudgene3", MichiganAdapter),
        ("cloudgene2", MichiganAdapter),
        ("simple", SimpleAdapter),
    ):
        adapter = registry.open(
            "michigan", base_url="https://x.org", config={"dialect": dialect}, credential=None
        )
        assert isinstance(adapter, expected)
    assert "t0ken" not in repr(Credential(token="t0ken", password="t0ken"))
