"""Judge a use case: the job behind ``salus gate``. What it does lies in programme, where use cases reach it too."""

from __future__ import annotations

from salus.programme.case import (
    Case,
    check_subjects,
    check_usecase,
    judge_usecase,
    read_case,
    usecase_protocol,
)

__all__ = ["Case", "check_subjects", "check_usecase", "judge_usecase", "read_case", "usecase_protocol"]
