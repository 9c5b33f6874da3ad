"""Forms from Structs: every configuration of every dialect survives the way through a form."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.adapters.presets import PRESETS
from app.adapters.registry import DIALECTS
from app.web.schema_form import JSON, Shown, describe, fill, nearest, read, show

WHOLE: dict[str, Any] = {
    "dialect": "weskit",
    "workflow": {
        "url": "main.nf",
        "type": "NFL",
        "type_version": "22.10.0",
        "engine": "nextflow",
        "engine_parameters": {"profile": "site", "odd=name": "x"},
        "attachments": [{"name": "main.nf", "content": "\nworkflow {\n}\n"}],
    },
    "params": {"input": "{samplesheet_url}", "nested": {"list": [1, 2.5, None, True]}},
    "params_as_strings": True,
    "maps": {"build": {"hg19": 37, "hg38": "38", "other": True, "text": "true"}},
    "panels": {
        "one": {"value": 6, "name": "One", "populations": {"afr": "African"}, "builds": ["hg38"]},
        "two": {"value": "6", "populations": ["afr", "eur"]},
        "three": {"value": "x", "populations": ["a=b"]},
    },
    "options": {"chunk": {"label": "Chunk", "kind": "choice", "choices": {"a": "A", "b": "B"}}},
    "tags": {},
    "input_mode": "samplesheet-url",
    "outputs": {
        "mode": "held",
        "include": [],
        "exclude": ["*.log"],
        "file_url_map": [{"prefix": "", "replace": "https://files.example.org/{run_id}/"}],
        "drs_insecure": True,
        "max_files": 20,
    },
    "auth": {"kind": "header", "name": "X-Key"},
    "poll": {"lost_after_s": 60.5},
    "user_agent": "platform",
}
CASES = [
    ("michigan", {}),
    ("michigan", {"app": "imputationserver2@2.0.12", "account_limit": 3, "extra_fields": {"a": "b = c"}}),
    ("ga4gh_wes", {}),
    ("ga4gh_wes", WHOLE),
    ("ga4gh_wes", {"auth": {"kind": "bearer"}, "workflow": {"attachments": [{"name": "a", "content": "x\r\ny"}]}}),
    ("ga4gh_wes", {"outputs": {"file_url_map": [{"prefix": "", "replace": ""}]}}),
    *((preset.api_type, dict(preset.api_config)) for preset in PRESETS.values()),
]  # fmt: skip


@pytest.mark.parametrize(("api_type", "config"), CASES)
def test_value_when_it_goes_through_a_form_then_it_is_the_same(
    api_type: str, config: dict[str, Any]
) -> None:
    schema = DIALECTS[api_type].schema
    fields = describe(schema)
    texts = fill(fields, config, "c")
    # What a browser sends: the blank rows too, and line ends of its own.
    sent = {name: text.replace("\n", "\r\n") for name, text in _drawn(show(fields, texts, "c"))}
    given = read(fields, sent, "c")
    assert given.errors == []
    assert msgspec.convert(given.value, schema) == msgspec.convert(config, schema)


def _drawn(shown: tuple[Shown, ...]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in shown:
        if item.rows:
            for row in item.rows:
                found += [(row.key, row.key_text)] if row.key else []
                found += _drawn(row.inner)
        elif item.inner:
            found += _drawn(item.inner)
        elif item.of.kind != "check" or item.text:
            found.append((item.name, item.text))
    return found


@pytest.mark.parametrize("api_type", DIALECTS)
def test_field_of_a_dialect_when_described_then_it_has_a_title_and_a_hint(api_type: str) -> None:
    for item in describe(DIALECTS[api_type].schema):
        if item.key != "allow_insecure":
            assert item.label, item.key
            assert item.hint or item.kind == "group", item.key


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    count: Annotated[int, Meta(title="How many")] = 3
    share: float | None = None
    words: dict[str, str] = {}
    other: dict[str, object] = {}
    table: dict[str, "Inner"] = {}


class Inner(msgspec.Struct, frozen=True):
    word: str


def test_reading_when_texts_cannot_be_read_then_each_error_is_at_its_field() -> None:
    fields = describe(Sample)
    texts = {"c.count": "many", "c.share": "nan", "c.words": "a", "c.other": "{", "c.table.0.word": "x"}  # fmt: skip
    given = read(fields, texts, "c")
    assert {item.field: item.message for item in given.errors} == {
        "c.count": "must be a whole number",
        "c.share": "must be a number",
        "c.words": "must have lines such as «name = value»: line 1 is none",
        "c.other": "must be valid JSON: look at quotes, commas and brackets",
        "c.table.0.:key": "is missing",
    }


def test_reading_when_nothing_was_typed_then_nothing_is_set() -> None:
    assert read(describe(Sample), {"c.count": "", "c.words": " ", "c.table.0.word": ""}, "c").value == {}  # fmt: skip


def test_row_when_its_numbers_are_odd_then_it_is_passed_over() -> None:
    texts = {"c.table.x.word": "a", "c.table.99999999.word": "b", "c.table.²._": "c"}
    assert read(describe(Sample), texts, "c").value == {}


def test_error_when_it_names_a_place_then_the_nearest_field_is_found() -> None:
    fields = describe(Sample)
    shown = show(fields, fill(fields, {"words": {"a": "b\nc"}}, "c"), "c")
    assert nearest("c.words", shown) == "c.words" + JSON
    assert nearest("c.other.deep[3].x", shown) == "c.other"
    assert nearest("elsewhere", shown) is None
