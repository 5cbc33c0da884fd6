"""What several tests share: the invented ward as a whole use case, made once for a session."""

from __future__ import annotations

import pytest

from salus.programme.usecase_folder import UseCaseFolder
from tests.ward_usecase import build_ward_usecase


@pytest.fixture(scope="session")
def ward_usecase(tmp_path_factory: pytest.TempPathFactory) -> UseCaseFolder:
    """The ward's use case of the kind synthesis; read it, or copy it first (tests.ward_usecase.copy_of)."""
    return build_ward_usecase(tmp_path_factory.mktemp("usecases") / "ward")
