"""Reading the field `targets`."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import AppError, InvalidInput
from app.core.submission import Asked
from app.core.targets import MAX_TARGETS, Refusal, read_targets, refuse_several

HERE = {"service_id": 1, "reference_panel_id": 2}


def read(*targets: Any, **common: str) -> list[Asked]:
    return [target.asked for target in read_targets(json.dumps(targets), common)]


def refused(text: str, **common: str) -> AppError:
    with pytest.raises(InvalidInput) as caught:
        read_targets(text, common)
    return caught.value


def test_target_when_it_says_all_then_that_counts() -> None:
    own = {
        **HERE, "build": "GRCh37", "phasing": False, "population": "eur", "options": {"r2": 0.3, "mode": "qc"},
        "name": "mine",
    }  # fmt: skip
    common = {
        "build": "hg38",
        "phasing": "eagle",
        "population": "afr",
        "options": '{"x": 1}',
        "name": "all",
    }
    assert read(own, **common) == [
        Asked("mine", "", 1, 2, "vcf", "hg19", False, "eur", {"r2": "0.3", "mode": "qc"})
    ]


def test_target_when_it_says_nothing_or_null_then_the_forms_fields_count() -> None:
    common = {
        "build": "hg19",
        "phasing": "eagle",
        "population": "afr",
        "options": '{"x": 1}',
        "name": "all",
    }
    expected = Asked("all", "", 1, 2, "vcf", "hg19", "eagle", "afr", {"x": "1"})
    silent = dict.fromkeys(("build", "phasing", "population", "options", "name"))
    assert read(HERE, {**HERE, **silent}, {**HERE, "build": ""}, **common) == [expected] * 3


def test_target_when_ids_are_texts_of_digits_then_they_are_read() -> None:
    (asked,) = read({"service_id": "12", "reference_panel_id": " 7 "})
    assert (asked.service_id, asked.reference_panel_id) == (12, 7)


NOT_TARGETS: dict[str, str] = {
    "garbage": "{garbage",
    "nothing": "[]",
    "null": "null",
    "a number": "1",
    "an object": json.dumps(HERE),
    "a list of numbers": "[1, 2]",
    "a list in a list": json.dumps([[HERE]]),
    "an object and null": json.dumps([HERE, None]),
    "depth": "[" * 60_000,
    "depth in an object": '[{"options":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}]",
    "a name twice": '[{"service_id": 1, "service_id": 2, "reference_panel_id": 3}]',
    "a number without end": '[{"service_id": ' + "9" * 5_000 + "}]",
    "a trailing comma": '[{"service_id": 1, "reference_panel_id": 2},]',
}


@pytest.mark.parametrize("what", NOT_TARGETS)
def test_targets_when_they_are_no_list_of_objects_then_says_what_they_are(what: str) -> None:
    error = refused(NOT_TARGETS[what])
    assert error.code == "invalid_targets"
    assert error.errors[0].field == "targets"
    assert "service_id" in (error.action or "")


def test_targets_when_there_are_too_many_then_says_so() -> None:
    assert len(read(*[HERE] * MAX_TARGETS)) == MAX_TARGETS
    assert refused(json.dumps([HERE] * (MAX_TARGETS + 1))).code == "too_many_targets"
    assert refused(json.dumps([{}] * 10_000)).code == "too_many_targets"


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no service": ({"service_id": None}, "missing_field", "service_id"),
    "no panel": ({"reference_panel_id": ""}, "missing_field", "reference_panel_id"),
    "blank panel": ({"reference_panel_id": "  "}, "missing_field", "reference_panel_id"),
    "true as service": ({"service_id": True}, "invalid_field", "service_id"),
    "a fraction": ({"service_id": 1.0}, "invalid_field", "service_id"),
    "infinite": ({"service_id": float("inf")}, "invalid_field", "service_id"),
    "a list": ({"service_id": [1]}, "invalid_field", "service_id"),
    "negative": ({"service_id": -1}, "invalid_field", "service_id"),
    "huge": ({"service_id": 10**30}, "invalid_field", "service_id"),
    "beyond 64 bits": ({"reference_panel_id": 2**63}, "invalid_field", "reference_panel_id"),
    "other digits": ({"service_id": "\u0661"}, "invalid_field", "service_id"),
    "words": ({"service_id": "michigan"}, "invalid_field", "service_id"),
    "build a number": ({"build": 38}, "invalid_field", "build"),
    "unknown build": ({"build": "hg17"}, "unknown_build", "build"),
    "phasing a number": ({"phasing": 1}, "invalid_field", "phasing"),
    "population a list": ({"population": ["eur"]}, "invalid_field", "population"),
    "half a character": ({"population": "\ud800"}, "unknown_population", "population"),
    "long name": ({"name": "x" * 300}, "invalid_field", "name"),
    "options a text": ({"options": '{"a": 1}'}, "invalid_options", "options"),
    "options a list": ({"options": [1]}, "invalid_options", "options"),
    "options nested": ({"options": {"a": {"b": 1}}}, "invalid_options", "options"),
    "options infinite": ({"options": {"a": float("nan")}}, "invalid_options", "options"),
    "many options": ({"options": {f"a{n}": 1 for n in range(100)}}, "invalid_options", "options"),
}


@pytest.mark.parametrize("what", WRONG)
def test_target_when_something_is_wrong_then_names_target_and_field_as_for_one_job(
    what: str,
) -> None:
    change, code, field = WRONG[what]
    error = refused(json.dumps([HERE, {**HERE, **change}]))
    assert (error.code, error.extra["target"]) == (code, 1)
    assert [item.field for item in error.errors] == [f"targets[1].{field}"]
    assert error.action


def test_target_when_it_has_an_unknown_field_then_lists_the_known_without_repeating_it() -> None:
    error = refused(json.dumps([{**HERE, "secret_token": 1}]))
    assert (error.code, error.errors[0].field) == ("unknown_field", "targets[0]")
    assert "secret_token" not in str(vars(error))
    assert "population" in (error.action or "")


def test_targets_when_several_are_wrong_then_all_are_told_and_the_first_leads() -> None:
    error = refused(
        json.dumps([HERE, {**HERE, "build": "x"}, {"service_id": 1}, {**HERE, "name": 1}])
    )
    assert (error.code, error.extra["target"]) == ("unknown_build", 1)
    assert [item.field for item in error.errors] == [
        "targets[1].build", "targets[2].reference_panel_id", "targets[3].name",
    ]  # fmt: skip
    told: Any = error.extra["refused"]
    assert [(item["target"], item["code"]) for item in told] == [
        (1, "unknown_build"), (2, "missing_field"), (3, "invalid_field"),
    ]  # fmt: skip


def test_targets_when_the_form_itself_is_wrong_then_no_target_is_blamed() -> None:
    error = refused(json.dumps([{**HERE, "build": "hg19"}]), build="hg17")
    assert (error.code, error.errors[0].field) == ("unknown_build", "build")
    assert "target" not in error.extra


def test_refusal_when_it_is_of_the_service_then_keeps_what_it_would_say_alone() -> None:
    alone = InvalidInput("no", code="no_credentials", action="store", extra={"service_id": 4})
    error = refuse_several([Refusal(2, alone, {"service_id": 4, "service_name": "S"})])
    assert (error.code, error.message, error.action) == ("no_credentials", "no", "store")
    assert (error.extra["service_id"], error.extra["target"]) == (4, 2)


@given(st.text(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([*HERE, "build", "phasing", "options", "name", "x"]), inner),
    max_leaves=12,
).map(json.dumps))  # fmt: skip
def test_targets_when_anything_comes_then_they_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(AppError):
        targets = read_targets(text, {})
        assert 1 <= len(targets) <= MAX_TARGETS
        assert all(target.asked.service_id is not None for target in targets)
