"""SALUS_MUST_RUN=1 turns a skip into a failure: where a browser and servers are promised, a skip hides a hole."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    records = "SALUS_DATA" in str(report.longrepr)  # real records that are not here are another matter
    if report.skipped and not records and os.environ.get("SALUS_MUST_RUN") == "1":
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must run here (SALUS_MUST_RUN=1) and did not. {said}"
    return report
