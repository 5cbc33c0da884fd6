"""The YAML of quality thresholds: Salus's own, which ships as data, or a hospital's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from salus.formats.strict_yaml import Section, read_section
from salus.timeline.quality_drift import Limits
from salus.timeline.quality_facts import LEVELS
from salus.timeline.quality_judging import Case, Threshold, Thresholds
from salus.timeline.quality_kinds import KINDS, Severity

SHIPPED = Path(__file__).with_name("quality_thresholds.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a file of thresholds says: of checks, and of drift between two extracts."""

    thresholds: Thresholds
    drift: Limits


def read_thresholds(file: Path | None = None) -> Written:
    """Read a file of thresholds; none: the one that ships. What it leaves out is as in the one that ships."""
    shipped = _read(read_section(SHIPPED), "salus", None)
    return shipped if file is None else _read(read_section(file), file.name, shipped)


def _read(written: Section, said_by: str, shipped: Written | None) -> Written:
    checks = dict(shipped.thresholds.checks) if shipped else {}
    known = {kind.name: [other.about for other in KINDS if other.name == kind.name] for kind in KINDS}
    told = written.section("checks") if written.has("checks") else None
    for name, abouts in known.items():
        if told and told.has(name):
            section = told.section(name)
            checks |= {
                (name, about): Threshold(percent=_percent(section, about), said_by=said_by)
                for about in abouts
                if section.has(about)
            }
            section.done()
    only = [_only(item, written, said_by, known) for item in written.items("only")]
    blocking = tuple(Severity(_severity(word, written)) for word in written.words("blocking"))
    if shipped and not written.has("blocking"):
        blocking = shipped.thresholds.blocking
    drift = (
        _drift(written.section("drift"), shipped) if written.has("drift") or not shipped else shipped.drift
    )
    if told:
        told.done()
    written.done()
    return Written(thresholds=Thresholds(checks=checks, only=dict(only), blocking=blocking), drift=drift)


def _percent(section: Section, key: str) -> float:
    value = section.number(key)
    if value is None or not 0 <= value <= 100:
        raise section.wrong(f"'{key}' must be a number of percent, 0 to 100", "write it as 5 for 5 %")
    return value


def _severity(word: str, written: Section) -> str:
    if word not in tuple(Severity):
        raise written.wrong(f"'blocking' cannot hold '{word}'", f"use some of: {', '.join(Severity)}")
    return word


def _only(
    item: object, written: Section, said_by: str, known: dict[str, list[str]]
) -> tuple[Case, Threshold]:
    section = Section(item, file=written.file, place="only")
    check = section.one_of("check", known)
    case = (check, section.one_of("about", known[check]), section.one_of("by", LEVELS), section.text("group"))
    percent = _percent(section, "percent")
    section.done()
    return case, Threshold(percent=percent, said_by=said_by)


def _drift(section: Section, shipped: Written | None) -> Limits:
    earlier = shipped.drift if shipped else Limits()

    def number(key: str, before: float) -> float:
        said = section.number(key)
        if said is not None and said < 0:
            raise section.wrong(f"'{key}' cannot be below 0", "write 0 or more")
        return before if said is None else said

    limits = Limits(
        population_stability=number("population_stability", earlier.population_stability),
        share_of_patients=number("share_of_patients", earlier.share_of_patients),
        share_failing=number("share_failing", earlier.share_failing),
        fewest_values=int(number("fewest_values", earlier.fewest_values)),
    )
    section.done()
    return limits
