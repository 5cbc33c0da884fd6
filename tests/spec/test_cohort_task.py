"""A task says from when we look and for what; what it cannot mean is refused with the nearest that it can."""

from __future__ import annotations

from datetime import timedelta

import pytest

from salus.cohort.task import check_codes, read_task
from salus.errors import TaskCodeUnknown, TaskFileError, TaskValueError
from tests.shape.sources import ROOT

GOOD = """
name: ward
index: {code: "ICU//ADMISSION", after: {hours: 48}}
outcomes:
  - name: death
    any_of: [MEDS_DEATH]
    until: ["HOSPITAL//DISCHARGE"]
  - name: diabetes_5y
    any_of: [DIABETES]
    within: {days: 1826}
    unless_before: [DIABETES]
"""


def test_a_task_is_read_as_written(tmp_path):
    (tmp_path / "task.yaml").write_text(GOOD)
    task = read_task(tmp_path / "task.yaml")
    assert task.index.after == timedelta(hours=48)
    assert [outcome.name for outcome in task.outcomes] == ["death", "diabetes_5y"]
    assert task.outcomes[0].within is None
    assert task.outcomes[1].within == timedelta(days=1826)
    assert task.codes == ("ICU//ADMISSION", "MEDS_DEATH", "HOSPITAL//DISCHARGE", "DIABETES")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("any_of: [MEDS_DEATH]", "anyof: [MEDS_DEATH]", "did you mean 'any_of'"),
        ("after: {hours: 48}", "after: {hour: 48}", "did you mean 'hours'"),
        ("after: {hours: 48}", "after: {hours: -1}", "time forward"),
        ("within: {days: 1826}", "within: {days: 0}", "time forward"),
        ("name: diabetes_5y", "name: death", "two outcomes"),
        ('    until: ["HOSPITAL//DISCHARGE"]\n', "", "never ends"),
        ("any_of: [DIABETES]", "any_of: []", "names no code"),
        ("outcomes:", "outcome:", "did you mean 'outcomes'"),
    ],
)
def test_a_task_that_cannot_be_meant_is_refused(tmp_path, old, new, said):
    (tmp_path / "task.yaml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(TaskValueError, match=said):
        read_task(tmp_path / "task.yaml")


@pytest.mark.parametrize("text", ["name: [", "name: \xff"])
def test_a_file_that_is_not_yaml_is_refused(tmp_path, text):
    (tmp_path / "task.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(TaskFileError):
        read_task(tmp_path / "task.yaml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TaskFileError, match=r"task\.yaml"):
        read_task(tmp_path / "task.yaml")


def test_a_code_the_data_do_not_have_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "task.yaml").write_text(GOOD)
    task = read_task(tmp_path / "task.yaml")
    check_codes(task, ["ICU//ADMISSION", "MEDS_DEATH", "HOSPITAL//DISCHARGE", "DIABETES"])
    with pytest.raises(TaskCodeUnknown, match="did you mean 'HOSPITAL//DISCHARGED'"):
        check_codes(task, ["ICU//ADMISSION", "MEDS_DEATH", "HOSPITAL//DISCHARGED", "DIABETES"])


@pytest.mark.parametrize("example", ["cohort", "icu", "clinic"])
def test_the_examples_own_tasks_can_be_read(example):
    assert read_task(ROOT / "examples" / example / "task.yaml").outcomes
