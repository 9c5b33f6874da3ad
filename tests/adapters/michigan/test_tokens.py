"""Tokens, read without trust."""

from datetime import UTC, datetime

import pytest

from app.adapters.base import CredentialRejected
from app.adapters.michigan.tokens import expiry_of, header_value, payload_of, report_of
from tests.fakes.cloudgene import GOOD_TOKEN


def test_expiry_when_the_token_is_a_jwt_then_read_without_trust() -> None:
    assert expiry_of(GOOD_TOKEN) == datetime(2100, 1, 1, tzinfo=UTC)
    for odd in ("", "a.b", "a.b.c", "....", "a.!!!.c", "eyJ.bnVsbA.x", "x" * 10_000, "a.W10.c"):
        assert expiry_of(odd) is None
        assert payload_of(odd) == {}


@pytest.mark.parametrize(
    "token", [None, "", "a b", "a\nb", "a\r\nX: y", "é", "a\x00", "x" * 9000, "\u202ea"]
)
def test_header_value_when_it_cannot_be_a_token_then_credential_rejected(token: str | None) -> None:
    with pytest.raises(CredentialRejected) as caught:
        header_value(token, "x.org")
    assert token is None or len(token) < 3 or token not in caught.value.reason


@pytest.mark.parametrize(
    ("expire", "year"),
    [("2099-12-31T00:00:00Z", 2099), ("2099-12-31T01:00:00+02:00", 2099), (4_070_908_800_000, 2099), (4_070_908_800, 2099), ("soon", 2100), (None, 2100), (-1, 2100)],
)  # fmt: skip
def test_report_of_when_valid_then_expiry_from_the_answer_else_from_the_token(
    expire: object, year: int
) -> None:
    report = report_of(
        {"valid": True, "username": "jdoe", "expire": expire, "message": "created by %s"},
        GOOD_TOKEN,
    )
    assert report is not None
    assert report.valid
    assert report.account_name == "jdoe"
    assert report.message is None
    assert report.expires_at is not None
    assert report.expires_at.year == year


def test_report_of_when_invalid_then_the_reason_and_no_expiry() -> None:
    report = report_of(
        {"valid": False, "message": f"Token {GOOD_TOKEN} is bad", "expire": "2025-01-01T00:00:00Z"},
        GOOD_TOKEN,
    )
    assert report is not None
    assert not report.valid
    assert report.expires_at is None
    assert GOOD_TOKEN not in (report.message or "")
    assert report_of({}, GOOD_TOKEN) is None
    for odd in ("yes", None, 1):
        assert report_of({"valid": odd}, GOOD_TOKEN) is None
