"""What a request may ask of a service and a panel."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import AppError, InvalidInput, NotFound
from app.core.models import Panel, Service
from app.core.submission import (
    FIELDS,
    Asked,
    judge_build,
    judge_options,
    judge_panel,
    judge_phasing,
    judge_population,
    judge_service,
    read_fields,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORM: dict[str, Any] = {
    "phasings": ["eagle", "beagle", "no_phasing"],
    "modes": ["imputation", "qc_only"],
    "options": [
        {"id": "r2Filter", "kind": "choice", "choices": [{"key": "0"}, {"key": "0.3"}]},
        {"id": "meta", "kind": "checkbox", "choices": []},
    ],
}
SERVICE = Service(
    id=1,
    slug="michigan",
    name="Michigan",
    description="",
    api_type="michigan",
    base_url="https://example.org",
    location=None,
    country=None,
    supported_builds=["hg19", "hg38"],
    credential_kind="token",
    credential_policy="per_user",
    shared_with={},
    shared_secret=None,
    shared_secret_key_id=None,
    allow_insecure=False,
    api_config={},
    is_active=True,
    poll_interval_s=30,
    wait_limit_s=1,
    max_remote_jobs=None,
    health="up",
    health_message=None,
    health_checked_at=None,
    latency_ms=None,
    live_form=FORM,
    created_at=NOW,
    updated_at=NOW,
)
PANEL = Panel(
    id=7,
    service_id=1,
    key="apps@hapmap2",
    name="HapMap 2",
    populations=[],
    builds=["hg38"],
    version=None,
    is_active=True,
    source="live",
    created_at=NOW,
    updated_at=NOW,
)


def panel(*populations: str) -> Panel:
    return replace(PANEL, populations=[{"key": key, "label": key.upper()} for key in populations])


def code_of(refused: pytest.ExceptionInfo[AppError]) -> str:
    return refused.value.code


def test_read_fields_when_nothing_is_said_then_has_the_defaults() -> None:
    assert read_fields({"name": "  ", "population": ""}) == Asked()


def test_read_fields_when_all_is_said_then_reads_it() -> None:
    asked = read_fields(
        {
            "name": " my \r\n job ",
            "description": "one\ntwo",
            "service_id": "1",
            "reference_panel_id": "007",
            "input_format": "VCF.GZ",
            "build": "GRCh37",
            "phasing": "FALSE",
            "population": "AFR",
            "options": '{"r2Filter": 0.3, "meta": true, "empty": "", "none": null}',
        }
    )
    options = {"r2Filter": "0.3", "meta": "true"}
    assert asked == Asked("my job", "one\ntwo", 1, 7, "vcf", "hg19", False, "AFR", options)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("service_id", "-1", "invalid_field"),
        ("service_id", "\u0661", "invalid_field"),
        ("service_id", "1" * 19, "invalid_field"),
        ("reference_panel_id", "1.0", "invalid_field"),
        ("build", "hg17", "unknown_build"),
        ("input_format", "bed", "unknown_format"),
        ("phasing", "yes please", "unknown_phasing"),
        ("population", "a\x1b[0m", "unknown_population"),
        ("name", "x" * 201, "invalid_field"),
        ("description", "x" * 10_001, "invalid_field"),
        ("options", "[1]", "invalid_options"),
        ("options", "{r2: 1}", "invalid_options"),
        ("options", "[" * 100_000, "invalid_options"),
        ("options", '{"a": {"b": 1}}', "invalid_options"),
        ("options", '{"a b": 1}', "invalid_options"),
        ("options", '{"a": "x\\u0000"}', "invalid_options"),
        ("options", json.dumps({f"o{number}": 1 for number in range(33)}), "invalid_options"),
        ("options", '{"a": ' + "9" * 5000 + "}", "invalid_options"),
    ],
)
def test_read_fields_when_a_value_cannot_be_then_names_the_field_and_never_the_value(
    field: str, value: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_fields({field: value})
    assert code_of(refused) == code
    assert refused.value.errors[0].field == field
    if len(value) > 3:
        assert value not in str(refused.value.message) + str(refused.value.action)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=50)))
def test_read_fields_when_anything_comes_then_reads_or_refuses_it(fields: dict[str, str]) -> None:
    try:
        asked = read_fields(fields)
    except InvalidInput:
        return
    assert asked.build in ("hg19", "hg38")
    assert asked.name is None or asked.name.isprintable()


def test_judge_service_when_there_is_none_or_it_is_off_then_refuses() -> None:
    with pytest.raises(NotFound):
        judge_service(None)
    with pytest.raises(InvalidInput) as refused:
        judge_service(replace(SERVICE, is_active=False))
    assert code_of(refused) == "service_disabled"
    assert judge_service(SERVICE) is SERVICE


def test_judge_panel_when_it_is_not_among_the_active_ones_then_names_those() -> None:
    off = replace(PANEL, id=8, name="Old", is_active=False)
    assert judge_panel(7, SERVICE, [off, PANEL]) is PANEL
    for wanted in (8, 9):
        with pytest.raises(InvalidInput) as refused:
            judge_panel(wanted, SERVICE, [off, PANEL])
        assert refused.value.action == "Choose one of its panels: 7 (HapMap 2)."


def test_judge_build_when_the_panel_has_another_then_is_taken_for_the_server_lifts_over() -> None:
    assert judge_build(Asked(build="hg19"), SERVICE) == "hg19"
    with pytest.raises(InvalidInput) as refused:
        judge_build(Asked(build="hg19"), replace(SERVICE, supported_builds=["hg38"]))
    assert code_of(refused) == "unknown_build"


@pytest.mark.parametrize(
    ("asked", "listed", "outcome"),
    [
        (True, ["eagle", "no_phasing"], (True, None)),
        (False, ["eagle", "no_phasing"], (False, None)),
        (False, [], (False, None)),
        (False, ["eagle"], None),
        ("Eagle", ["eagle", "no_phasing"], (True, "eagle")),
        ("shapeit", ["eagle"], None),
        ("shapeit", [], (True, "shapeit")),
    ],
)
def test_judge_phasing_when_the_service_lists_engines_then_it_is_one_of_them(
    asked: bool | str, listed: list[str], outcome: tuple[bool, str | None] | None
) -> None:
    service = replace(SERVICE, live_form={"phasings": listed})
    if outcome is not None:
        assert judge_phasing(Asked(phasing=asked), service) == outcome
        return
    with pytest.raises(InvalidInput) as refused:
        judge_phasing(Asked(phasing=asked), service)
    assert "eagle" in (refused.value.action or "")


@pytest.mark.parametrize(
    ("populations", "asked", "taken"),
    [
        (["eur", "mixed", "all"], None, "mixed"),
        (["eur", "all", "off"], None, "all"),
        (["off"], None, "off"),
        (["EUR"], "eur", "EUR"),
        (["eur"], "EUR", "eur"),
        ([], "afr", "afr"),
        ([], None, None),
    ],
)
def test_judge_population_when_the_panel_lists_some_then_takes_one_as_it_is_spelt_there(
    populations: list[str], asked: str | None, taken: str | None
) -> None:
    assert judge_population(Asked(population=asked), panel(*populations)) == taken


@pytest.mark.parametrize("asked", [None, "martian"])
def test_judge_population_when_none_fits_then_names_the_choices(asked: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        judge_population(Asked(population=asked), panel("eur", "afr"))
    assert refused.value.action == "Choose: eur, afr."
    assert "martian" not in refused.value.message


def test_judge_population_when_its_label_is_given_then_takes_the_key() -> None:
    labelled = replace(PANEL, populations=[{"key": "1", "label": "African"}])
    assert judge_population(Asked(population="african"), labelled) == "1"


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"mode": "qconly"}, {"mode": "qc_only"}),
        ({"mode": "Imputation"}, {"mode": "imputation"}),
        ({"r2Filter": "0.3", "meta": "true"}, {"r2Filter": "0.3", "meta": "true"}),
        ({"mode": "dream"}, None),
        ({"r2Filter": "0.7"}, None),
        ({"password": "x"}, None),
    ],
)
def test_judge_options_when_the_form_is_known_then_only_what_it_has_is_taken(
    options: dict[str, str], taken: dict[str, str] | None
) -> None:
    if taken is not None:
        assert judge_options(Asked(options=options), SERVICE) == taken
        return
    with pytest.raises(InvalidInput) as refused:
        judge_options(Asked(options=options), SERVICE)
    assert code_of(refused) == "unknown_option"
    assert "Choose: " in (refused.value.action or "")


def test_judge_options_when_the_form_is_unknown_then_leaves_them_to_the_service() -> None:
    options = {"anything": "1"}
    assert judge_options(Asked(options=options), replace(SERVICE, live_form=None)) == options
