"""Guards over the documents: every setting, error code and metric is written down, and the description of the API is current."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

import app
from app.genotypes.findings import Code
from app.routes.table import ENDPOINTS, openapi_document
from app.settings import Settings

APP_DIR = Path(app.__file__).parent
DOCS = APP_DIR.parent / "docs"


def words(name: str) -> set[str]:
    """Everything that stands in back-quotes in a document."""
    return set(re.findall(r"`([^`\n]+)`", (DOCS / name).read_text()))


def error_codes() -> Iterator[str]:
    """Every code that the source gives an error."""
    for path in APP_DIR.rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                given = [item.value for item in node.keywords if item.arg == "code"]
                if isinstance(node.func, ast.Name) and node.func.id == "refuse":
                    given += node.args[1:2] if len(node.args) > 2 else []
                for value in given:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value
            elif (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and "default_code" in ast.unparse(node).partition("=")[0]
                and isinstance(node.value, ast.Constant)
            ):
                yield str(node.value.value)


def test_error_codes_when_given_then_docs_tell_what_they_mean() -> None:
    codes = {*error_codes(), *Code}
    assert {"no_credentials", "not_found", "unknown_build", "plain_vcf"} <= codes

    assert codes - words("api.md") == set()


def test_error_codes_when_in_docs_then_something_gives_them() -> None:
    first_columns = re.findall(r"^\| (`[^|]+) \|", (DOCS / "api.md").read_text(), re.MULTILINE)
    told = {code for column in first_columns for code in re.findall(r"`(\w+)`", column)}
    by_framework = {"method_not_allowed", "expectation_failed"}
    made_up_at_run_time = {"too_many_fields"}

    assert told - {*error_codes(), *Code} == by_framework | made_up_at_run_time - {*error_codes()}


def test_settings_when_there_then_docs_tell_what_they_do() -> None:
    names = {f"FIP_{item.name.upper()}" for item in fields(Settings)}

    assert names - words("operations.md") == set()


def test_settings_when_in_docs_then_they_are_there() -> None:
    names = {f"FIP_{item.name.upper()}" for item in fields(Settings)}
    told = {word for word in words("operations.md") if re.fullmatch(r"FIP_[A-Z0-9_]+", word)}

    assert {word.removesuffix("_FILE") for word in told} - names <= {"FIP_X", "FIP_"}


def test_metrics_when_counted_then_docs_tell_what_they_mean() -> None:
    names = {item.name for item in REGISTRY.collect() if item.name.startswith("fip_")}
    told = " ".join(words("operations.md"))
    assert "fip_http_requests" in names

    assert [name for name in sorted(names) if name not in told] == []


def test_openapi_when_the_api_changed_then_the_file_follows() -> None:
    current = msgspec.json.format(openapi_document(), indent=2).decode() + "\n"

    assert current == (DOCS / "openapi.json").read_text(), (
        "run: python -m app openapi > docs/openapi.json"
    )


@pytest.fixture
def document() -> dict[str, Any]:
    return dict(msgspec.json.decode(openapi_document()))


def nodes(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def test_openapi_when_built_then_it_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert described == {(item.method, item.plain_path) for item in ENDPOINTS}


def test_openapi_when_built_then_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}

    assert references
    assert {name.removeprefix("#/components/schemas/") for name in references} <= schemas.keys()


def test_openapi_when_built_then_paths_declare_their_parameters(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            declared = [item["name"] for item in operation["parameters"] if item["in"] == "path"]
            assert declared == re.findall(r"\{(\w+)\}", path), f"{method} {path}"
            assert "$ref" in str(operation["responses"]["default"]), "errors are described"


def test_openapi_when_an_answer_holds_an_account_or_credential_then_no_secret_is_described(
    document: dict[str, Any],
) -> None:
    shown = {
        name
        for schema, body in document["components"]["schemas"].items()
        if schema.endswith("Out")
        for name in body.get("properties", {})
    }

    assert shown
    assert not {name for name in shown if re.search(r"password|secret|hash|sealed", name)} - {
        "sha256"
    }
    assert {name for name in shown if "token" in name} == {
        "access_token",
        "token_type",
        "has_api_token",
    }


def test_openapi_when_built_twice_then_it_is_the_same() -> None:
    assert openapi_document() == openapi_document.__wrapped__()
