"""From what a server lists to its imputing app and that app's form, however odd."""

import pytest

from app.adapters.michigan.discovery import app_ids, build_in, choose_app, read_form
from app.adapters.michigan.forms import options_of
from tests.adapters.conftest import make_form
from tests.fakes.cloudgene_form import APP, PANEL


@pytest.mark.parametrize(
    ("ids", "pinned", "expected"),
    [
        (["imputationserver2-hla@2.0.12", APP], None, [APP]),
        (["imputationserver2@1.9.9", "imputationserver2@1.10.0"], None, ["imputationserver2@1.10.0", "imputationserver2@1.9.9"]),
        (["imputationserver@1.8.0", "imputationserver-pgs@1.0", "imputationserver-beagle@1"], None, ["imputationserver@1.8.0"]),
        (["minimac4@1.0"], None, ["minimac4@1.0"]),
        (["minimac4@1.0", "imputationserver2-afr@1"], None, ["imputationserver2-afr@1"]),
        (["imputationserver2-hla@1", "other@1"], None, []),
        ([], None, []),
        ([APP], "imputationserver2@2.0.11", ["imputationserver2@2.0.11", APP, "imputationserver2"]),
        ([APP], "imputationserver2", ["imputationserver2", APP]),
        ([APP], "custom@1", ["custom@1", "custom"]),
        (["imputationserver2-hla@3", APP], "imputationserver2-hla@2", ["imputationserver2-hla@2", "imputationserver2-hla@3", "imputationserver2-hla"]),
    ],
)  # fmt: skip
def test_choose_app_when_listed_then_the_imputing_one_newest_first(
    ids: list[str], pinned: str | None, expected: list[str]
) -> None:
    assert choose_app(ids, pinned) == expected


@pytest.mark.parametrize(
    "apps",
    [
        None,
        1,
        "x",
        {},
        [None, 1, "x", {}, {"id": None}, {"id": {}}, {"id": " a"}, {"id": "x" * 999}],
    ],
)
def test_app_ids_when_the_list_is_odd_then_empty(apps: object) -> None:
    assert app_ids({"apps": apps}) == []


@pytest.mark.parametrize(
    "params",
    [
        None, 7, "x", {}, [None, 1, "x", [], {}],
        [{"id": 1, "type": None, "values": None, "value": None}],
        [{"id": "refpanel", "type": "app_list", "values": {"a": 1}}],
        [{"id": "refpanel", "type": "app_list", "values": [None, 1, {"key": None}, {"key": {"a": 1}}, {"value": "x"}]}],
        [{"id": "population", "type": "binded_list", "values": [{"key": "p", "values": 5}, {"values": [{}]}, 3]}],
        [{"id": "x\ny", "type": "list"}, {"id": "x" * 1000}, {"id": "", "type": []}],
    ],
)  # fmt: skip
def test_read_form_when_parameters_are_odd_then_only_they_are_lost(params: object) -> None:
    form = read_form({"params": params, "version": {"a": 1}, "name": None}, APP)
    assert form.app_id == APP
    assert options_of(form) is not None
    assert form.populations("p") == ()


def test_read_form_when_titles_hold_html_then_plain() -> None:
    form = make_form()
    assert form.panels is not None
    assert [choice.label for choice in form.panels.choices] == [
        "H3Africa v6 (GRCh38/hg38)",
        "Bare (GRCh37/hg19)",
    ]
    assert form.panels.label == "Reference Panel (Details)"
    assert [choice.label for choice in form.populations(PANEL)] == ["AFR", "AA", "Off"]


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("x (GRCh38/hg38)", "hg38"),
        ("1000G b37", "hg19"),
        ("hg19 and hg38", None),
        ("HRC r1.1", None),
        ("", None),
    ],
)
def test_build_in_when_a_title_names_one_then_that(text: str, build: str | None) -> None:
    assert build_in(text) == build


def test_read_form_when_keys_cannot_be_stored_then_left_out() -> None:
    """Unprintable text would be refused by the database, and with it the whole description."""
    form = make_form(
        build={
            "type": "list",
            "value": "a\x00b",
            "values": [{"key": "hg\x0019", "value": "x"}, {"key": "hg38", "value": "a\x00b"}],
        }
    )
    assert form.fields["build"].default is None
    assert [(choice.key, choice.label) for choice in form.fields["build"].choices] == [
        ("hg38", "ab")
    ]
