"""Tables for spreadsheets: no text of a service's file begins as a formula does."""

import pytest

from app.routes.api.analyses import _harmless


@pytest.mark.parametrize("first", "=+-@\t\r\n")
def test_cell_when_it_begins_as_a_formula_then_it_is_a_text(first: str) -> None:
    assert _harmless(f"{first}cmd|' /C calc'!A0") == f"'{first}cmd|' /C calc'!A0"
    assert _harmless(-1.5) == -1.5
