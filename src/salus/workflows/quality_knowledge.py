"""What the quality checks hold rows against: the timeline's own codes, and OHDSI's rules where a folder is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from salus.errors import UsageProblem, nearest
from salus.formats.ohdsi_checks import SAID_BY, ConceptRule, OhdsiChecks, read_ohdsi_checks
from salus.formats.omop_codes import OMOP, Concept
from salus.formats.quality_thresholds import Written, read_thresholds
from salus.intake.omop import read_concepts
from salus.outlet.omop_places import concepts_named
from salus.timeline.columns import SPLITS
from salus.timeline.quality_judging import Case, Threshold
from salus.timeline.quality_kinds import STANDARD
from salus.timeline.quality_rows import Knowledge
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_shards

UCUM, SITE = "UCUM", "SITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for beside the timeline: OHDSI's checks, a vocabulary, thresholds, an older extract, the sites.

    ``site``: what the codes of sites begin with; None: SITE, where there are such.
    """

    checks: Path | None = None
    vocabulary: Path | None = None
    thresholds: Path | None = None
    against: Path | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What rows are held against, by which thresholds they are judged, and what OHDSI's files held of it."""

    knowledge: Knowledge
    written: Written
    ohdsi: OhdsiChecks | None = None
    rules_met: Mapping[str, int] = field(default_factory=dict)


def held_against(timeline: Path, settings: TimelineSettings, asked: Asked, today: datetime) -> Held:
    """Read what was asked for, and find which of the timeline's codes it speaks of."""
    written = read_thresholds(asked.thresholds)
    codes = read_codes(timeline)
    knowledge = Knowledge(
        codes=codes,
        today=today,
        vocabularies=STANDARD,
        site=_site(asked.site, codes),
        time_zero=settings.time_zero,
        order_only=settings.order_only,
    )
    if asked.checks is None:
        return Held(knowledge=knowledge, written=written)
    ohdsi = read_ohdsi_checks(asked.checks)
    known = _concepts(timeline, codes, asked.vocabulary) if asked.vocabulary else {}
    by_code = codes_of_rules(ohdsi.concepts, codes, known)
    only = {**ohdsi.only, **_thresholds(by_code), **written.thresholds.only}
    knowledge = replace(
        knowledge,
        sex_of=_sexes(by_code, "plausibleGender"),
        sex_of_kinds=_sexes(by_code, "plausibleGenderUseDescendants"),
        units_of=_units(by_code, known),
        known_units=tuple(name.partition("//")[2] for name in known if name.startswith(f"{UCUM}//")),
        earliest=ohdsi.earliest or knowledge.earliest,
    )
    met = {
        name: sum(rule.check == name for rule, _ in by_code)
        for name in {rule.check for rule in ohdsi.concepts}
    }
    judged = replace(written, thresholds=replace(written.thresholds, only=only))
    return Held(knowledge=knowledge, written=judged, ohdsi=ohdsi, rules_met=met)


def _site(asked: str | None, codes: pl.DataFrame) -> str:
    """What the codes of sites begin with. Raises UsageProblem (SAL-502) where no code begins as was asked."""
    begins = {code.partition("//")[0] for code in codes["code"] if "//" in code}
    if asked is not None and asked not in begins:
        raise UsageProblem(
            f"no code of the timeline begins with '{asked}//'{nearest(asked, begins)}",
            where="salus quality --site",
            fix="write what the codes of a patient's site begin with: SITE for SITE//north",
        )
    return asked or SITE


RuleOfCodes = tuple[ConceptRule, tuple[str, ...]]
"""A rule, and the codes of a timeline that it speaks of."""


def codes_of_rules(
    rules: Iterable[ConceptRule], codes: pl.DataFrame, known: Mapping[str, Concept]
) -> list[RuleOfCodes]:
    """Which codes each rule speaks of; rules that speak of none are left out.

    A code names its concept by a parent such as ``OMOP//3025315``; else the vocabulary does. Units are only asked of
    codes whose units' concepts the vocabulary knows.
    """
    numbered: dict[int, set[str]] = {}
    below: dict[str, set[str]] = {}
    for code, parents in codes.select("code", "parent_codes").iter_rows():
        for parent in parents or ():
            below.setdefault(parent, set()).add(code)
        for number in _numbers(code, parents or (), known):
            numbered.setdefault(number, set()).add(code)
    found = []
    for rule in rules:
        spoken = {code for number in rule.concepts for code in numbered.get(number, ())}
        if rule.check == "plausibleGenderUseDescendants":
            spoken = _with_kinds(spoken | {f"{OMOP}//{number}" for number in rule.concepts}, below)
        if spoken and not (rule.units and not known):
            found.append((rule, tuple(sorted(spoken))))
    return found


def _numbers(code: str, parents: Iterable[str], known: Mapping[str, Concept]) -> Iterable[int]:
    for name in (code, *parents):
        prefix, _, rest = name.partition("//")
        if prefix == OMOP and rest.isdigit():
            yield int(rest)
    if code in known:
        yield known[code].concept_id


def _with_kinds(start: set[str], below: Mapping[str, set[str]]) -> set[str]:
    """These codes and all that is a kind of them; a number alone is no code of a row."""
    found, waiting = set(start), list(start)
    while waiting:
        fresh = below.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return {code for code in found if not code.startswith(f"{OMOP}//")}


def _thresholds(by_code: list[RuleOfCodes]) -> dict[Case, Threshold]:
    abouts = {"plausibleUnitConceptIds": "unit"}
    return {
        (rule.check, abouts.get(rule.check, "sex"), "code", code): Threshold(
            percent=rule.percent, said_by=SAID_BY
        )
        for rule, spoken in by_code
        for code in spoken
    }


def _sexes(by_code: list[RuleOfCodes], check: str) -> dict[str, str]:
    """The only sex that can have a code; none where two rules contradict each other."""
    said: dict[str, set[str]] = {}
    for rule, spoken in by_code:
        for code in spoken if rule.check == check else ():
            said.setdefault(code, set()).add(rule.sex)
    return {code: next(iter(sexes)) for code, sexes in said.items() if len(sexes) == 1}


def _units(by_code: list[RuleOfCodes], known: Mapping[str, Concept]) -> dict[str, tuple[str, ...]]:
    """The units that the values of a code can have, out of those whose concepts are known; "": none."""
    numbers = {
        concept.concept_id: name.partition("//")[2]
        for name, concept in known.items()
        if name.startswith(f"{UCUM}//")
    }
    return {
        code: tuple(
            sorted(
                {"" if unit == -1 else numbers[unit] for unit in rule.units if unit == -1 or unit in numbers}
            )
        )
        for rule, spoken in by_code
        if rule.units
        for code in spoken
    }


def _concepts(timeline: Path, codes: pl.DataFrame, vocabulary: Path) -> dict[str, Concept]:
    """Concepts of the timeline's codes and units, as a vocabulary's folder gives them."""
    named = {part for code in codes["code"].to_list() for part in concepts_named(code)}
    units: set[str] = set()
    for split in SPLITS:
        for shard in read_shards(timeline, split):
            units |= set(shard["unit"].drop_nulls().unique().to_list())
    with TemporaryDirectory() as scratch:
        return read_concepts(vocabulary, named | {f"{UCUM}//{unit}" for unit in units}, Path(scratch))
