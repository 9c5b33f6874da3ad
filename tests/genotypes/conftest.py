"""Tests of genotype files, some of which count the worker processes."""

import pytest

from tests.support.workers import KeptInspector


@pytest.fixture(autouse=True)
def _no_others() -> None:
    """Only the workers of a test are there to be counted: those that other tests keep for the next one end."""
    KeptInspector.end()
