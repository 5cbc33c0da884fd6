"""Read a task: at which moment we look at a patient, and which outcomes we look for after it.

name: icu
index: {code: ICU//ADMISSION, after: {hours: 48}}      # 48 h after the first such row of each patient
outcomes:
  - name: in_hospital_death
    any_of: [MEDS_DEATH]
    until: [HOSPITAL//DISCHARGE]                       # the first of outcome and this decides
  - name: diabetes_5y
    any_of: [DIAGNOSIS//DIABETES]
    within: {days: 1826}                               # the outcome counts up to and including this time
    unless_before: [DIAGNOSIS//DIABETES]               # patients who have it at the index are left out
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from salus.errors import SourceError, SourceFileError, TaskCodeUnknown, TaskFileError, TaskValueError, nearest
from salus.formats.strict_yaml import Section, read_section

UNITS = ("days", "hours", "minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRule:
    """The moment from which we look ahead: ``after`` the first row with ``code``."""

    code: str
    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What may happen after the index; at least one of ``within`` and ``until`` says when we stop looking."""

    name: str
    any_of: tuple[str, ...]
    within: timedelta | None = None
    until: tuple[str, ...] = ()
    unless_before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One index moment a patient and the outcomes looked for."""

    name: str
    index: IndexRule
    outcomes: tuple[Outcome, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code the task names, in order, each once."""
        named = [self.index.code]
        for outcome in self.outcomes:
            named += [*outcome.any_of, *outcome.until, *outcome.unless_before]
        return tuple(dict.fromkeys(named))


def read_task(path: Path) -> Task:
    """Read a task.yaml strictly: a key that means nothing is refused with the nearest one that does."""
    try:
        return _task(read_section(path))
    except SourceFileError as error:
        raise TaskFileError(error.what, where=error.where, fix=error.fix) from error
    except SourceError as error:
        fix = (
            error.fix if "csv_source" not in error.fix else "correct it; salus/cohort/task.py shows the form"
        )
        raise TaskValueError(error.what, where=error.where, fix=fix) from error


def check_codes(task: Task, known: Iterable[str], *, where: str = "task.yaml") -> None:
    """Refuse a task that names a code the data set does not have: it would silently never happen."""
    present = list(known)
    for code in task.codes:
        if code not in set(present):
            raise TaskCodeUnknown(
                f"task '{task.name}' names '{code}', a code the data do not have{nearest(code, present)}",
                where=where,
                fix="use a code of metadata/codes.parquet, or choose the task that belongs to these data",
            )


def _task(content: Section) -> Task:
    name = content.text("name")
    index = content.section("index")
    rule = IndexRule(code=index.text("code"), after=_duration(index, "after") or timedelta(0))
    index.done()
    outcomes = tuple(
        _outcome(Section(item, file=content.file, place=f"outcomes[{number}]"))
        for number, item in enumerate(content.items("outcomes"))
    )
    content.done()
    if not outcomes:
        raise content.wrong("the task has no outcome", "add at least one under 'outcomes:'")
    names = [outcome.name for outcome in outcomes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise content.wrong(f"two outcomes are called '{twice[0]}'", "give each outcome a name of its own")
    return Task(name=name, index=rule, outcomes=outcomes)


def _outcome(content: Section) -> Outcome:
    outcome = Outcome(
        name=content.text("name"),
        any_of=content.words("any_of"),
        within=_duration(content, "within"),
        until=content.words("until"),
        unless_before=content.words("unless_before"),
    )
    content.done()
    if not outcome.any_of:
        raise content.wrong(
            f"'{outcome.name}' names no code that would be the outcome", "add 'any_of: [CODE, …]'"
        )
    if outcome.within is None and not outcome.until:
        raise content.wrong(
            f"'{outcome.name}' never ends, so it can never be answered with no",
            "add 'within: {days: …}' or 'until: [CODE]'",
        )
    return outcome


def _duration(content: Section, key: str) -> timedelta | None:
    if not content.has(key):
        return None
    inner = content.section(key)
    parts = {unit: inner.number(unit) or 0.0 for unit in UNITS}
    inner.done()
    length = timedelta(**parts)
    if length < timedelta(0) or (key == "within" and not length):
        raise content.wrong(
            f"'{key}' must be a time forward", "write it as {days: 30}, {hours: 48} or {minutes: 90}"
        )
    return length
