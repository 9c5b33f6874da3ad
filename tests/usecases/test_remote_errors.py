"""What people are told when a service does not do what was asked."""

import pytest

from app.adapters import base
from app.adapters.base import AdapterError, CredentialRejected, ServiceUnavailable
from app.core.errors import AppError, InvalidInput, NotFound, Unavailable
from app.usecases.remote_errors import as_app_error


def _all(cls: type[AdapterError]) -> list[type[AdapterError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _all(child))]


@pytest.mark.parametrize("cls", _all(base.AdapterError))
def test_every_adapter_error_when_told_then_names_service_and_reason(
    cls: type[AdapterError],
) -> None:
    told = as_app_error("Michigan", cls("the reason."))
    assert isinstance(told, AppError)
    assert told.message.startswith("Michigan ")
    assert told.message.endswith("the reason")
    assert told.code not in ("error", type(told).default_code)


def test_errors_when_they_pass_by_themselves_then_are_retryable_and_else_not() -> None:
    assert as_app_error("S", ServiceUnavailable("x")).retryable
    away = as_app_error("S", ServiceUnavailable("x", maintenance=True))
    assert (away.code, away.retryable) == ("service_maintenance", True)
    refused = as_app_error("S", CredentialRejected("token expired"))
    assert isinstance(refused, InvalidInput)
    assert refused.message == "S authentication failed: token expired"
    assert "Service Credentials" in (refused.action or "")
    assert isinstance(as_app_error("S", base.RemoteNotFound("x")), NotFound)
    assert isinstance(as_app_error("S", base.DoubtfulSubmission("x")), Unavailable)
