"""Templates of parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.wes.template import Value, as_text, fill, names_in, takes_many, unknown_names

VALUES: dict[str, Value] = {
    "input_url": "u1", "input_name": "n1", "input_urls": ("u1", "u2"), "input_names": ("n1", "n2"),
    "panel.value": 7, "phasing": True, "population": None, "build": "b38", "job_id": "fi-1",
}  # fmt: skip
FILES: list[dict[str, Value]] = [
    {"input_url": "u1", "input_name": "n1"},
    {"input_url": "u2", "input_name": "n2"},
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{input_urls}", ["u1", "u2"]),
        ("{input_urls} end", "u1 u2 end"),
        ("{panel.value}", 7),
        ("p{panel.value}", "p7"),
        ("{phasing}", True),
        ("is {phasing}", "is true"),
        ("x{population}y", "xy"),
        ("{{build}}", "{build}"),
        ("{1,2} ${{HOME}} {}", "{1,2} ${HOME} {}"),
        ({"class": "File", "location": "{input_name}"}, {"class": "File", "location": "n1"}),
        ([{"class": "File", "location": "{input_name}"}],
         [{"class": "File", "location": "n1"}, {"class": "File", "location": "n2"}]),
        (["{build}", "{population}", 3, None], ["b38", 3, None]),
        ({"a": "{population}", "b": 1.5}, {"b": 1.5}),
        (False, False),
    ],
)  # fmt: skip
def test_fill_when_a_value_is_given_then_strings_only_are_replaced(
    template: object, expected: object
) -> None:
    assert fill({"p": template}, VALUES, FILES, as_strings=False) == {"p": expected}


def test_fill_when_strings_are_wanted_then_every_top_value_is_one() -> None:
    filled = fill(
        {"a": "{input_urls}", "b": 3, "c": "{phasing}", "d": {"x": [1]}, "e": "{population}", "f": None},
        VALUES,
        FILES,
        as_strings=True,
    )  # fmt: skip
    assert filled == {"a": "u1 u2", "b": "3", "c": "true", "d": '{"x":[1]}', "f": ""}


def test_fill_when_the_whole_population_is_left_out_then_its_key_is_too() -> None:
    assert fill({"population": "{population}"}, VALUES, FILES, as_strings=False) == {}


def test_names_when_one_is_unknown_then_it_is_named_with_the_choices() -> None:
    assert names_in({"a": ["{build}", {"b": "{option.r2} {{panel}}"}]}) == {"build", "option.r2"}
    assert unknown_names({"a": "{build} {option.x}"}) is None
    said = unknown_names({"a": ["{ref_panel}"]})
    assert said is not None
    assert said.startswith("{ref_panel}. There are: {input_urls}")


@pytest.mark.parametrize(
    ("template", "many"),
    [
        ({"a": "{input_url}"}, False),
        ({"a": {"location": "{input_name}"}}, False),
        ({"a": ["{input_url}", "x"]}, False),
        ({"a": "{input_urls}"}, True),
        ({"a": "{samplesheet_url}"}, True),
        ({"a": {"b": [{"location": "{input_name}"}]}}, True),
    ],
)
def test_takes_many_when_there_is_room_then_true(template: object, many: bool) -> None:
    assert takes_many(template) is many


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(template=st.dictionaries(st.text(max_size=5), _json, max_size=4))
def test_fill_when_nothing_is_a_placeholder_then_the_template_itself(
    template: dict[str, object],
) -> None:
    if not names_in(template) and "{{" not in str(template):
        assert fill(template, VALUES, FILES, as_strings=False) == template
    strings = fill(template, VALUES, FILES, as_strings=True)
    assert all(isinstance(value, str) for value in strings.values())


@given(value=_json)
def test_as_text_when_anything_then_a_text(value: object) -> None:
    assert isinstance(as_text(value), str)
