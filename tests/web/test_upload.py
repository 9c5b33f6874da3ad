"""Reading forms with files, where the whole way over HTTP (tests/adversarial/test_uploads.py) does not reach."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.web import upload


def test_writers_when_priorities_are_forbidden_then_they_write_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    with ThreadPoolExecutor(1, initializer=upload._give_way) as writers:
        assert writers.submit(lambda: 5).result(timeout=10) == 5
