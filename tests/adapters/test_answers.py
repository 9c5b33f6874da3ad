"""What an answer's status, headers and words are taken for."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from multidict import CIMultiDict

from app.adapters.answers import Answer, error_of, raise_for_status
from app.adapters.base import CredentialRejected, Rejected, RemoteNotFound, ServiceUnavailable


def _answer(status: int, body: str = "", **headers: str) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, "x.org", named, body.encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ServiceUnavailable), (302, ServiceUnavailable), (304, ServiceUnavailable), (401, CredentialRejected),
        (403, CredentialRejected), (404, RemoteNotFound), (410, RemoteNotFound), (400, Rejected), (405, Rejected),
        (413, Rejected), (415, Rejected), (422, Rejected), (408, ServiceUnavailable), (429, ServiceUnavailable),
        (500, ServiceUnavailable), (502, ServiceUnavailable), (503, ServiceUnavailable), (599, ServiceUnavailable),
        (100, ServiceUnavailable),
    ],
)  # fmt: skip
def test_error_of_when_status_is_not_2xx_then_one_class(status: int, kind: type[Exception]) -> None:
    assert type(error_of(_answer(status))) is kind
    raise_for_status(_answer(204))


def test_error_of_when_in_maintenance_then_marked() -> None:
    error = error_of(
        _answer(
            503,
            '{"message":"This functionality is currently under maintenance."}',
            Retry_After="120",
        )
    )
    assert isinstance(error, ServiceUnavailable)
    assert error.maintenance
    assert error.retry_after_s == 120
    other = error_of(_answer(503, "<h1>503 Service Unavailable</h1>"))
    assert isinstance(other, ServiceUnavailable)
    assert not other.maintenance


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("15", 15.0),
        ("99999999", 86_400.0),
        ("9" * 40, None),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_when_given_then_read_within_bounds(value: str, expected: float | None) -> None:
    assert _answer(503, Retry_After=value).retry_after_s() == expected


def test_retry_after_when_a_date_then_the_seconds_until_it() -> None:
    soon = _answer(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=100)))
    assert 90 < (soon.retry_after_s() or 0) <= 100
    assert _answer(503, Retry_After="Mon, 01 Jan 2001 00:00:00 GMT").retry_after_s() == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"success":false,"message":"Job x not found."}', "Job x not found."),
        ('{"message":"Unauthorized","_links":{}}', "Unauthorized"),
        ('"java.lang.NullPointerException"', "java.lang.NullPointerException"),
        ("<html><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway"),
        ("plain words", "plain words"),
        ("", ""),
        ("[1]", ""),
        ('{"message": {"a": 1}}', ""),
        ('{"message": "token eyJhbGciOiJIUzI1NiJ9.abcdefgh.x is bad"}', "token [redacted] is bad"),
    ],
)
def test_message_when_shapes_differ_then_the_words_are_found(body: str, words: str) -> None:
    assert _answer(400, body).message() == words


def test_message_when_the_secret_is_echoed_then_redacted() -> None:
    assert "s3cr3t" not in _answer(400, '{"message":"bad s3cr3t"}').message(["s3cr3t"])
