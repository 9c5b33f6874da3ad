"""What administrators may enter about services, and what everybody sees of it."""

from typing import Any

import pytest

from app.core.errors import InvalidInput
from app.core.services import (
    clean_base_url,
    clean_builds,
    clean_country,
    clean_panel_key,
    clean_populations,
    clean_settings,
    clean_slug,
    clean_text,
    merge_config,
    slug_of,
    visible_config,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("entered", "stored"),
    [
        ("https://Impute.Example.ORG/", "https://impute.example.org"),
        ("  https://impute.example.org/api/v1//  ", "https://impute.example.org/api/v1"),
        ("HTTP://127.0.0.1:8082", "http://127.0.0.1:8082"),
        ("https://impute.example.org:443/x", "https://impute.example.org/x"),
        ("https://impute.example.org:80", "https://impute.example.org:80"),
        ("http://[::1]:8082/", "http://[::1]:8082"),
        ("https://impute.example.org./", "https://impute.example.org"),
        ("http://sandbox_server:8082", "http://sandbox_server:8082"),
    ],
)
def test_base_url_when_entered_in_many_forms_then_is_stored_in_one(
    entered: str, stored: str
) -> None:
    assert clean_base_url(entered) == stored
    assert clean_base_url(stored) == stored


@pytest.mark.parametrize(
    "entered",
    [
        "",
        "impute.example.org",
        "//impute.example.org",
        "ftp://impute.example.org",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:hunter2secret@impute.example.org",
        "https://hunter2secret@impute.example.org",
        "https://@impute.example.org",
        "https://impute.example.org/?token=hunter2secret",
        "https://impute.example.org/?",
        "https://impute.example.org/#hunter2secret",
        "https://impute.example.org#",
        "https://impute.example.org/a/../b",
        "https://impute.example.org/%2e%2e/b",
        "https://impute.example.org/a b",
        "https://impute.exam\tple.org/",
        "https://impute.example.org\\@evil.example",
        "https://impute.example.org:0",
        "https://impute.example.org:99999",
        "https://impute.example.org:abc",
        "https://[::1",
        "https://ïmpute.example.org",
        "https://a.example.org/" + "x" * 600,
        "javascript:alert(1)",
    ],
)
def test_base_url_when_it_is_no_plain_address_then_is_refused_without_repeating_it(
    entered: str,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_base_url(entered)
    assert caught.value.errors[0].field == "base_url"
    assert "hunter2secret" not in caught.value.message


def test_slug_when_made_of_a_name_then_fits_the_rule() -> None:
    assert slug_of("H3Africa Imputation Service") == "h3africa-imputation-service"
    assert slug_of("  Müller & Söhne  (test) ") == "muller-sohne-test"
    made = slug_of("é" * 62 + " -- " + "x" * 100)
    assert len(made) <= 63
    assert clean_slug(made) == made


@pytest.mark.parametrize("slug", ["", "-a", "A", "a_b", "a/b", "a" * 64, "ä", "a\nb"])
def test_slug_when_it_cannot_stand_in_an_address_then_is_refused(slug: str) -> None:
    with pytest.raises(InvalidInput):
        clean_slug(slug)


def test_slug_when_nothing_of_the_name_is_left_then_is_refused() -> None:
    with pytest.raises(InvalidInput):
        slug_of("遺伝子")


@pytest.mark.parametrize(
    "config",
    [
        {"token": "x"},
        {"API_TOKEN": "x"},
        {"Password": "x"},
        {"extra_fields": {"client_secret": "x"}},
        {"nested": [{"deep": {"apiKey": "x"}}]},
        {"Authorization": "x"},
        {"note": JWT},
        {"note": f"use {JWT} please"},
        {"note": "h3a_abcdef123456"},
        {"headers": ["Bearer abcdefgh12345"]},
        {"proxy": "http://user:pw@proxy.example.org"},
        {"workflow": {"url": "https://git.example.org/impute.nf?private_token=glpat-x1y2z3"}},
        {"params": {"ref": "https://s3.example.org/r.vcf.gz?X-Amz-Date=1&X-Amz-Signature=0af3"}},
        {"params": {"ref": "https://x.blob.example.org/r.vcf.gz?sv=2022&sig=0af3%3D"}},
        {"extra_fields": {"x": JWT}},
    ],
)
def test_config_when_it_looks_like_a_secret_then_is_refused_and_never_shown(
    config: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput) as caught:
        merge_config({}, config)
    assert caught.value.code == "secret_in_config"
    assert JWT not in caught.value.message
    assert visible_config(config, has_token=False) == {"has_api_token": False}


def test_config_when_changed_then_keys_are_merged_and_null_removes() -> None:
    old = {"app": "imputationserver2", "account_limit": 3}
    changed = merge_config(
        old, {"account_limit": None, "extra_fields": {"mode": "imputation"}, "has_api_token": True}
    )
    assert changed == {"app": "imputationserver2", "extra_fields": {"mode": "imputation"}}
    assert old == {"app": "imputationserver2", "account_limit": 3}


def test_config_when_it_is_huge_or_deep_then_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    for config in (deep, {"a": "x" * 20_000}):
        with pytest.raises(InvalidInput):
            merge_config({}, config)


@pytest.mark.parametrize(
    "given",
    [
        {"name": " \u200b "},
        {"name": "x" * 201},
        {"description": "x" * 5000},
        {"country": "ZAF"},
        {"country": "1A"},
        {"supported_builds": ["hg19", "hg18"]},
        {"poll_interval_s": 0.0},
        {"poll_interval_s": float("inf")},
        {"wait_limit_s": -1.0},
        {"max_remote_jobs": 0},
        {"max_remote_jobs": 10**30},
        {"shared_with": {"roles": ["god"]}},
    ],
)
def test_settings_when_a_value_is_impossible_then_its_field_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_settings(given)
    assert caught.value.errors[0].field == next(iter(given))


def test_settings_when_sound_then_are_tidied() -> None:
    assert clean_settings(
        {
            "name": " A\n service ",
            "country": "za",
            "location": "  ",
            "supported_builds": ["hg38", "hg19", "hg38"],
            "max_remote_jobs": None,
            "is_active": False,
        }
    ) == {
        "name": "A service",
        "country": "ZA",
        "location": None,
        "supported_builds": ["hg19", "hg38"],
        "max_remote_jobs": None,
        "is_active": False,
    }
    assert clean_country(" ") is None
    assert clean_builds([], "builds") == []
    assert clean_text("one\x00\n\n two\u202e \n", "description") == "one\n\ntwo"


def test_populations_when_given_in_two_forms_then_become_objects_each_once() -> None:
    assert clean_populations(
        ["afr", {"key": "eur", "label": "Europe"}, {"key": "off", "label": ""}, "afr"]
    ) == [
        {"key": "afr", "label": "afr"},
        {"key": "eur", "label": "Europe"},
        {"key": "off", "label": "off"},
    ]
    for wrong in (["a b"], [""], [{"label": "no key"}], ["é"], ["x"] * 201):
        with pytest.raises(InvalidInput):
            clean_populations(wrong)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "é", "x" * 201])
def test_panel_key_when_it_cannot_be_submitted_then_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        clean_panel_key(key)
