"""What was chosen on the page of a new job, and how `POST /jobs` is told."""

import json

import pytest

from app.core.choosing import (
    Choices,
    at_page_fields,
    ensure_chosen,
    form_fields,
    page_fields,
    read_choices,
)
from app.core.errors import FieldError, InvalidInput

ONE = [
    ("build", "hg19"),
    ("service", "3"),
    ("panel-3", "7"),
    ("population-3-7", "eur"),
    ("phasing-3", "true"),
    ("option-3-meta", "false"),
    ("option-3-meta", "true"),
    ("option-3-r2Filter", "0.3"),
]
TWO = [*ONE, ("service", "5"), ("panel-5", "9"), ("phasing-5", "false")]


def test_fields_when_one_service_is_chosen_then_they_are_those_of_a_job() -> None:
    fields = form_fields(read_choices([*ONE, ("name", " My job "), ("panel-5", "9")]))
    assert json.loads(fields.pop("options")) == {"meta": "true", "r2Filter": "0.3"}
    assert fields == {
        "name": "My job",
        "build": "hg19",
        "service_id": "3",
        "reference_panel_id": "7",
        "population": "eur",
        "phasing": "true",
    }


def test_fields_when_two_services_are_chosen_then_they_are_targets() -> None:
    fields = form_fields(read_choices(TWO))
    assert set(fields) == {"build", "targets"}
    first, second = json.loads(fields["targets"])
    assert first["service_id"] == 3
    assert second == {"service_id": 5, "reference_panel_id": 9, "phasing": "false"}


def test_fields_when_two_panels_of_a_service_are_chosen_then_each_has_its_target() -> None:
    fields = form_fields(read_choices([*ONE, ("panel-3", "8"), ("population-3-8", "afr")]))
    first, second = json.loads(fields["targets"])
    assert (first["reference_panel_id"], first["population"]) == (7, "eur")
    assert (second["reference_panel_id"], second["population"]) == (8, "afr")
    assert first["options"] == second["options"]


@pytest.mark.parametrize("fields", [ONE, TWO, [("input_file_id", "4"), *TWO]])
def test_address_when_made_of_choices_then_says_the_same(fields: list[tuple[str, str]]) -> None:
    choices = read_choices(fields)
    assert read_choices(page_fields(choices)) == choices


@pytest.mark.parametrize(
    "fields",
    [
        [("service", "x"), ("service", "-1"), ("service", "9" * 30)],
        [
            ("panel-", "1"),
            ("panel-1-2", "1"),
            ("option-1", "x"),
            ("population-x", "y"),
            ("population-1", "z"),
        ],
        [("input_file_id", "one"), ("input_file_id", "")],
    ],
)
def test_choices_when_fields_are_nonsense_then_nothing_is_chosen(
    fields: list[tuple[str, str]],
) -> None:
    choices = read_choices(fields)
    assert (choices.places, choices.file_ids) == ((), ())


def test_choices_when_a_service_or_file_comes_twice_then_counts_once() -> None:
    choices = read_choices([("service", "3"), ("service", "3"), *[("input_file_id", "1")] * 2])
    assert [place.service_id for place in choices.places] == [3]
    assert choices.file_ids == (1,)


def test_check_when_things_are_missing_then_names_all_of_them() -> None:
    with pytest.raises(InvalidInput) as caught:
        ensure_chosen(read_choices([("service", "3"), ("service", "5"), ("panel-5", "9")]))
    assert [item.field for item in caught.value.errors] == ["build", "panel-3"]
    with pytest.raises(InvalidInput) as caught:
        ensure_chosen(Choices(build="hg19"))
    assert [item.field for item in caught.value.errors] == ["service"]


def test_error_when_of_the_api_then_names_the_fields_of_the_page() -> None:
    names = ["targets[1].population", "targets[0]", "targets[0].options", "build", "input_file"]
    error = InvalidInput("no", errors=[FieldError(name, "no") for name in names])
    shown = at_page_fields(error, read_choices(TWO)).errors
    assert [item.field for item in shown] == [
        "population-5-9",
        "service-3",
        "option-3",
        "build",
        "input_file",
    ]
    single = InvalidInput("no", errors=[FieldError("reference_panel_id", "no")])
    assert at_page_fields(single, read_choices(ONE)).errors[0].field == "panel-3"
