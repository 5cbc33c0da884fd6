"""Read a policy strictly: a line that means nothing, or lets pass what it does not say, is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from salus.deidentify.dates import DateHow, DateRule
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.dicom_policy import read_dicom
from salus.deidentify.policy import (
    SHIPPED,
    Action,
    CsvTable,
    Policy,
    RiskAsked,
    Rule,
    Rules,
    TextHow,
)
from salus.deidentify.policy_checks import (
    Complaint,
    check_csv,
    check_extension,
    check_fhir,
    check_hl7v2,
    check_omop,
)
from salus.errors import (
    PolicyMissing,
    PolicyNameUnknown,
    PolicyValueWrong,
    SourceError,
    SourceKeyError,
    nearest,
)
from salus.formats.strict_yaml import Section, read_section

MOST_DAYS = 36_500
EXPLAINED = "docs/how-to/deidentify.md explains the lines of a policy"
QUASI = ("sex", "birth_year", "postcode", "race", "ethnicity")
"""What can be asked for as a quasi-identifier; every format knows which of its fields says it."""


def policy_file(name: str) -> Path:
    """The file of a shipped policy, or the path itself. Raises PolicyMissing (SAL-171)."""
    if name in SHIPPED:
        return Path(str(files("salus.deidentify") / "policies" / f"{name}.yaml"))
    path = Path(name)
    if not path.is_file():
        raise PolicyMissing(
            f"there is no policy '{path.name}'{nearest(path.name, SHIPPED)}",
            where=str(path),
            fix=f"name a file, or one of: {', '.join(SHIPPED)}",
        )
    return path


def read_policy(name: str) -> Policy:
    """A shipped policy by its name, or one in a file. Raises SAL-171, SAL-172 and SAL-173."""
    path = policy_file(name)
    try:
        return _policy(path, read_section(path))
    except SourceKeyError as error:
        raise PolicyNameUnknown(error.what, where=error.where, fix=error.fix) from error
    except SourceError as error:
        raise PolicyValueWrong(error.what, where=error.where, fix=EXPLAINED) from error


def _policy(path: Path, top: Section) -> Policy:
    fhir, extensions = _fhir(top)
    policy = Policy(
        name=top.text("name"),
        title=top.text("title"),
        version=top.text("version"),
        basis=top.text("basis"),
        does_not_promise=top.text("does_not_promise"),
        rules=_rules(top.section("rules")),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        risk=_risk(top.section("risk")) if top.has("risk") else None,
        fhir=fhir,
        extensions=extensions,
        omop={table: _table(lines, table, check_omop) for table, lines in top.sections("omop")},
        hl7v2=_hl7v2(top),
        csv={name: _csv(section) for name, section in top.sections("csv")},
    )
    if top.has("dicom"):
        policy = replace(policy, dicom=_dicom(top.section("dicom"), policy.rules.dates))
    top.done()
    return policy


def _dicom(section: Section, dates: DateRule) -> DicomOptions:
    def say(name: str, words: tuple[str, ...]) -> str:
        return _with_reason(section, name, words, "word")[0]

    return read_dicom(section, dates, say)


def _rules(section: Section) -> Rules:
    ages, postcodes = section.section("ages"), section.section("postcodes")
    dates = _date_rule(section.section("dates"))
    birth = DateHow(_word(ages, "birth_dates", tuple(DateHow)))
    if birth is DateHow.SHIFT and dates.how is not DateHow.SHIFT:
        raise _wrong(
            ages, "birth dates are to move and dates are not", "write 'shift' for both, or another word"
        )
    few = postcodes.words("few_people")
    if few and not postcodes.text("census", ""):
        raise _wrong(postcodes, "'few_people' does not say of which census it is", "add 'census: …' there")
    read = Rules(
        dates=dates,
        birth=DateRule(how=birth, most_days=dates.most_days, keep_weekday=dates.keep_weekday),
        oldest=_whole(ages, "oldest"),
        digits=_whole(postcodes, "digits"),
        few_people=frozenset(few),
        free_text=TextHow(_word(section, "free_text", tuple(TextHow))),
    )
    for each in (section, ages, postcodes):
        each.done()
    return read


def _date_rule(section: Section) -> DateRule:
    how = DateHow(_word(section, "do", tuple(DateHow)))
    days, weekday = _whole(section, "most_days"), section.flag("keep_weekday")
    section.done()
    if how is not DateHow.SHIFT:
        return DateRule(how=how)
    least = 7 if weekday else 1
    if days is None or not least <= days <= MOST_DAYS:
        raise _wrong(section, f"'most_days' must be a whole number from {least} to {MOST_DAYS}", "write 365")
    return DateRule(how=how, most_days=days, keep_weekday=weekday)


def _risk(section: Section) -> RiskAsked:
    k, threshold = _whole(section, "k"), section.number("threshold")
    named = section.words("quasi_identifiers")
    asked = RiskAsked(
        k=k or 0,
        quasi_identifiers=named,
        threshold=0.09 if threshold is None else threshold,
        suppress=section.flag("suppress"),
    )
    section.done()
    for name in named:
        if name not in QUASI:
            raise _unknown(section, f"the quasi-identifier '{name}'", name, QUASI)
    if asked.k < 2 or not named or not 0 < asked.threshold <= 1:
        raise _wrong(
            section,
            "'k' must be 2 or more, 'threshold' above 0 and at most 1, and 'quasi_identifiers' named",
            "write k: 11, threshold: 0.09, quasi_identifiers: [sex, birth_year, postcode]",
        )
    return asked


def _fhir(top: Section) -> tuple[dict[str, dict[str, Rule]], dict[str, Rule]]:
    if not top.has("fhir"):
        return {}, {}
    fhir = top.section("fhir")
    extensions = fhir.section("extensions") if fhir.has("extensions") else None
    urls = _lines(extensions) if extensions else {}
    for url, rule in urls.items():
        _complain(extensions or fhir, check_extension(url, rule.action))
    return {
        kind: _table(section, kind, check_fhir) for kind, section in _named(fhir) if kind != "extensions"
    }, urls


def _named(section: Section) -> list[tuple[str, Section]]:
    return [(name, section.section(name)) for name in section.keys]


def _table(
    section: Section, name: str, check: Callable[[str, str, Action], Complaint | None]
) -> dict[str, Rule]:
    lines = _lines(section)
    _complain(section, check(name, "", Action.KEEP))
    for field, rule in lines.items():
        _complain(section, check(name, field, rule.action))
    return lines


def _hl7v2(top: Section) -> dict[str, dict[str, Rule]]:
    """Lines of all segments, by segment."""
    if not top.has("hl7v2"):
        return {}
    section = top.section("hl7v2")
    segments: dict[str, dict[str, Rule]] = {}
    for place, rule in _lines(section).items():
        segment, _, number = place.partition("-")
        _complain(section, check_hl7v2(segment, number, rule.action))
        segments.setdefault(segment, {})[number] = rule
    return segments


def _csv(section: Section) -> CsvTable:
    columns = section.section("columns")
    table = CsvTable(
        patient=section.text("patient", ""),
        delimiter=section.text("delimiter", ","),
        columns=_lines(columns),
    )
    section.done()
    if len(table.delimiter) != 1:
        raise _wrong(section, "'delimiter' must be one character", 'write delimiter: "," or ";" or "\\t"')
    for name, rule in table.columns.items():
        _complain(columns, check_csv(name, rule.action, has_patient=bool(table.patient)))
    return table


def _lines(section: Section) -> dict[str, Rule]:
    return {name: _rule(section, name) for name in section.keys}


def _rule(section: Section, name: str) -> Rule:
    said, why = _with_reason(section, name, tuple(Action), "action")
    return Rule(Action(said), why)


def _with_reason(section: Section, name: str, words: tuple[str, ...], kind: str) -> tuple[str, str]:
    """One of some words, and why it stands there."""
    said, _, why = (part.strip() for part in section.text(name).partition(" - "))
    if said not in words:
        raise _unknown(section, f"the {kind} '{said}' of '{name}'", said, words)
    if not why:
        raise _wrong(section, f"'{name}' does not say why", f"write it as '{name}: {said} - why'")
    return said, why


def _word(section: Section, name: str, words: tuple[str, ...]) -> str:
    said = section.text(name)
    if said not in words:
        raise _unknown(section, f"'{said}' as '{name}'", said, words)
    return said


def _whole(section: Section, name: str) -> int | None:
    number = section.number(name)
    if number is not None and (number != int(number) or number < 0):
        raise _wrong(section, f"'{name}' must be a whole number, 0 or more", "correct it")
    return None if number is None else int(number)


def _complain(section: Section, found: Complaint | None) -> None:
    if found is None:
        return
    if found.known:
        raise _unknown(section, found.what, found.name, found.known)
    raise _wrong(section, found.what, found.fix)


def _place(section: Section) -> str:
    return f"{section.file}, {section.place}" if section.place else section.file


def _unknown(section: Section, what: str, name: str, known: Collection[str]) -> PolicyNameUnknown:
    listed = list(known)
    shown = ", ".join(listed[:12]) + (" …" if len(listed) > 12 else "")
    return PolicyNameUnknown(
        f"{what} means nothing here{nearest(name, listed)}", where=_place(section), fix=f"use one of: {shown}"
    )


def _wrong(section: Section, what: str, fix: str) -> PolicyValueWrong:
    return PolicyValueWrong(what, where=_place(section), fix=fix)
