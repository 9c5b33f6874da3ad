"""The programs of htslib, where they are installed."""

import shutil

import pytest

needs_htslib = pytest.mark.skipif(
    not all(map(shutil.which, ("bcftools", "bgzip", "tabix"))),
    reason="bcftools and tabix are not installed",
)
needs_imputation = pytest.mark.skipif(
    not all(map(shutil.which, ("bcftools", "tabix", "shapeit4", "minimac4"))),
    reason="shapeit4 and minimac4 are not installed",
)
