"""What several tests share: the invented ward as a whole use case, made once for a session."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from salus.programme.usecase_folder import UseCaseFolder
from tests.ward_usecase import build_ward_usecase

MUST_RUN = bool(os.environ.get("SALUS_MUST_RUN"))
"""Where servers and browsers were installed for it, a test that skips for want of one has failed."""
OUTSIDE = {"server", "browser"}


@pytest.fixture(scope="session")
def ward_usecase(tmp_path_factory: pytest.TempPathFactory) -> UseCaseFolder:
    """The ward's use case of the kind synthesis; read it, or copy it first (tests.ward_usecase.copy_of)."""
    return build_ward_usecase(tmp_path_factory.mktemp("usecases") / "ward")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may skip; records that are not here are another matter."""
    report = yield
    outside = OUTSIDE & set(Path(item.path).parts)
    if MUST_RUN and report.skipped and outside and "SALUS_DATA" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"SALUS_MUST_RUN is set, and this skipped: {report.longrepr}"
    return report
