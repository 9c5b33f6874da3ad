"""JSON or the bytes: what different clients ask for."""

import pytest

from app.web.accept import wants_json


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        (None, False),
        ("*/*", False),  # curl
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),  # a browser's address line
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/json, text/plain, */*", True),  # scripts in browsers
        ("application/zip, application/json;q=0.5", False),
        ("application/json;q=0", False),
        ("application/json;q=nonsense", False),
        ("application/problem+json", False),
        (",;,=", False),
    ],
)
def test_wants_json_when_asked_by_name_then_only(accept: str | None, json: bool) -> None:
    assert wants_json(accept) is json
