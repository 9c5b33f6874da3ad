"""Forms: what is read from them, what is said when it is wrong, and what they keep to themselves."""

from typing import Annotated, Literal

import msgspec
import pytest
from multidict import MultiDict, MultiDictProxy

from app.core.errors import AppError, FieldError, InvalidInput
from app.web.pages import SECRETS, Form
from app.web.ways_out import way_out


class Kinds(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(max_length=10)]
    number: int | None = None
    colour: Literal["red", "green"] = "red"
    is_sure: bool = False
    tags: list[str] = []
    password: str = ""


def typed(*pairs: tuple[str, str]) -> Form:
    return Form(MultiDictProxy(MultiDict(pairs)))


def test_form_when_read_then_blanks_are_cut_and_empty_fields_are_absent() -> None:
    form = typed(("name", " a b "), ("number", ""), ("colour", ""), ("tags", " x "), ("tags", " "))

    assert form.read(Kinds) == Kinds(name="a b", tags=["x"])


def test_form_when_read_then_a_secret_is_taken_as_it_is() -> None:
    assert typed(("name", "a"), ("password", " two blanks ")).read(Kinds).password == " two blanks "


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [([], False), ([("is_sure", "on")], True), ([("is_sure", "")], True)],
)
def test_form_when_a_checkbox_is_there_then_true(
    pairs: list[tuple[str, str]], expected: bool
) -> None:
    form = typed(("name", "a"), *pairs)

    assert form.read(Kinds).is_sure is form.is_on("is_sure") is expected


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([("name", "a"), ("number", "SECRETVALUE")], "number"),
        ([("name", "a"), ("colour", "SECRETVALUE")], "colour"),
        ([("name", "SECRETVALUE" * 10)], "name"),
        ([("name", "a\0SECRETVALUE")], "name"),
        ([("name", "a"), ("tags", "ok"), ("tags", "\ud800SECRETVALUE")], "tags"),
    ],
)
def test_form_when_a_field_is_wrong_then_it_is_named_and_its_value_is_not(
    pairs: list[tuple[str, str]], field: str
) -> None:
    form = typed(*pairs)
    with pytest.raises(InvalidInput) as caught:
        form.read(Kinds)
    form.refuse(caught.value)

    assert set(form.errors) == {field}
    assert "SECRETVALUE" not in f"{form.errors}{form.message}{form.action}"
    assert form.errors[field][0].isupper()
    assert form.errors[field].endswith(".")


def test_form_when_something_required_is_missing_then_it_is_empty_and_its_rule_judges() -> None:
    assert typed().read(Kinds).name == ""


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_form_when_shown_again_then_no_secret_stands_in_it(name: str) -> None:
    assert typed((name, "s3cr3t")).value(name) == ""
    assert Form(defaults={name: "s3cr3t"}).value(name) == ""


def test_form_when_first_shown_then_defaults_stand_in_it() -> None:
    form = Form(
        defaults={"name": "a", "number": 0, "none": None, "tags": ["x", 1], "is_sure": True}
    )

    assert [form.value(name) for name in ("name", "number", "none", "absent")] == ["a", "0", "", ""]
    assert form.chosen("tags") == ["x", "1"]
    assert form.chosen("absent") == []
    assert form.is_on("is_sure")
    assert not form.is_on("absent")


def test_form_when_sent_then_no_default_comes_back() -> None:
    form = Form(MultiDictProxy(MultiDict([("a", "1")])), defaults={"name": "a", "is_sure": True})

    assert form.value("name") == ""
    assert form.chosen("name") == []
    assert not form.is_on("is_sure")


def test_form_when_refused_then_says_what_and_where() -> None:
    error = InvalidInput("No", action="Do it.", errors=[FieldError("name", "is too long")])
    form = typed().refuse(error)

    assert (form.message, form.action, form.errors) == ("No", "Do it.", {"name": "Is too long."})


OTHERWISE = "Look at what is named, mend it, and try again."


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("Ask an administrator.", "Ask an administrator."),
        ("Sign in at POST /api/auth/login and send it.", OTHERWISE),
        ("GET /docs describes what this call takes.", OTHERWISE),
        (None, OTHERWISE),
    ],
)
def test_way_out_when_it_speaks_to_programs_then_people_do_not_see_it(
    action: str | None, expected: str
) -> None:
    assert way_out(AppError("x", action=action, code="odd")) == expected
