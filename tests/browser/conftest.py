"""What is skipped here fails where it must run."""

from __future__ import annotations

from tests.must_run import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
