"""Where a patient's record reached, and what is to be done about each place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import polars as pl

from salus.errors import PatientAmbiguous, PatientUnknown
from salus.outlet.fhir_timeline import population_of
from salus.programme.erasures import ErasureRecord
from salus.programme.lineage import Lineage, Sort, Thing
from salus.timeline.columns import SPLITS
from salus.timeline.store import read_settings, read_shards, read_splits
from salus.timeline.subjects import subject_number
from salus.timeline.suspension import is_suspended

HASHED = 1 << 32
"""Numbers from here on are keyed hashes: two sources do not give one of them to two people."""


class Policy(StrEnum):
    """What becomes of what learnt from the patient: trained again, deleted, or taken out of use."""

    RETRAIN = "retrain"
    DROP = "drop"
    SUSPEND = "suspend"


class Action(StrEnum):
    """What is done about one place."""

    REWRITE = "rewrite without them"
    DELETE = "delete"
    SUSPEND = "suspend"
    RETRAIN = "suspend, then train again"
    UNTOLD = "cannot tell: see to it yourself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who is to be erased: their numbers, or ids of the source; then the ``key`` of their pseudonyms (may be empty).

    ``within``: a timeline that they are in, where others that have nothing to do with it use the same numbers.
    """

    patients: tuple[str, ...]
    key: bytes | None = None
    within: Path | None = None

    def numbers(self) -> list[frozenset[int]]:
        """The numbers that each may have, by every formula of ours."""
        return [self._numbers(patient) for patient in self.patients]

    def _numbers(self, patient: str) -> frozenset[int]:
        if self.key is None:
            return frozenset({int(patient)} if patient.isdecimal() else ())
        spelt = (patient, f"Patient/{patient}", f"person/{patient}")
        return frozenset(subject_number(one, self.key) for one in spelt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One place and what is done about it. ``numbers``: the patients' in a timeline; they are written nowhere."""

    thing: Thing
    action: Action
    why: str
    numbers: frozenset[int] = field(default=frozenset(), repr=False)

    def as_json(self) -> dict[str, str]:
        """What the record keeps."""
        return {
            "sort": self.thing.sort.value,
            "path": str(self.thing.path),
            "digest": self.thing.digest,
            "action": self.action.value,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every place, in the order in which it is acted on. ``erased_before``: how many of the patients were."""

    steps: tuple[Step, ...]
    commitments: tuple[str, ...]
    erased_before: int

    @property
    def with_patient(self) -> tuple[str, ...]:
        """Digests of the timelines that hold somebody who is to be erased."""
        return tuple(step.thing.digest for step in self.of(Action.REWRITE))

    def of(self, *actions: Action) -> tuple[Step, ...]:
        """The steps of some actions."""
        return tuple(step for step in self.steps if step.action in actions)


def make_plan(wanted: Wanted, lineage: Lineage, record: ErasureRecord, *, policy: Policy) -> Plan:
    """Find the patients and all that came of their records.

    Raises PatientUnknown (SAL-608), PatientAmbiguous (SAL-610).
    """
    holding, before = _holding(wanted, lineage, record)
    held = [thing for thing in lineage.things if thing.path in holding]
    reached = lineage.made_from(
        (thing.digest for thing in held), data_sets={thing.data_set for thing in held}
    )
    more = _followed(lineage, reached, holding, wanted.key or b"")
    holding = {**holding, **more.found}
    held = [thing for thing in lineage.things if thing.path in holding]
    steps = [
        *(_step(thing, policy, held) for thing in reached if thing.sort is not Sort.TIMELINE),
        *_rewriting(held, lineage, holding),
        *(_untold(thing, NOT_FOLLOWED) for thing in more.lost),
        *_not_told(lineage, reached),
    ]
    commitments = {
        record.commitment(thing.data_set, number) for thing in held for number in holding[thing.path]
    }
    return Plan(steps=tuple(steps), commitments=tuple(sorted(commitments)), erased_before=before)


NOT_FOLLOWED = "made from a timeline that held them, under other numbers that cannot be followed"
WHY = {
    Sort.ANSWERS: "made from their record, or by a model that learnt from it",
    Sort.EXPORT: "written from what held their record, or was drawn after it",
    Sort.MODEL: "learnt from a timeline that held them",
    Sort.SYNTHETIC: "drawn by a model that learnt from them",
    Sort.EVIDENCE: "holds rows of patients, measured on what changes: measure it again",
    Sort.PAGES: "shows what held their record: draw it again",
}
MADE_AGAIN = (Sort.ANSWERS, Sort.EVIDENCE, Sort.PAGES)
"""What a command makes again, and what may hold rows of patients: it goes, whatever the policy."""


def _holding(
    wanted: Wanted, lineage: Lineage, record: ErasureRecord
) -> tuple[dict[Path, frozenset[int]], int]:
    """The patients' numbers by real timeline, and how many patients were erased before."""
    real = [thing for thing in lineage.things if thing.sort is Sort.TIMELINE]
    subjects = {thing.path: frozenset(read_splits(thing.path)["subject_id"]) for thing in real}
    holding: dict[Path, frozenset[int]] = {}
    before = 0
    for numbers in wanted.numbers():
        mine = [thing for thing in real if numbers & subjects[thing.path]]
        mine = _one_family(mine, lineage, wanted.within, hashed=min(numbers, default=0) >= HASHED)
        if mine:
            for thing in mine:
                known = holding.get(thing.path, frozenset())
                holding[thing.path] = known | (numbers & subjects[thing.path])
        elif _was_erased(numbers, real, record):
            before += 1
        else:
            raise PatientUnknown(
                "somebody who is to be erased is in no timeline here, and was not erased before",
                where="PATIENT",
                fix="check the number, or give the source's id with --key; name every folder with --roots",
            )
    return holding, before


def _one_family(
    things: Sequence[Thing], lineage: Lineage, within: Path | None, *, hashed: bool
) -> list[Thing]:
    """Of timelines that hold a number those where it is one person."""
    families = lineage.families(things)
    if within is not None:
        chosen = [family for family in families if within.resolve() in family]
        return [thing for thing in things if chosen and thing.path in chosen[0]]
    if len(families) > 1 and not hashed:
        names = ", ".join(sorted(thing.path.name for thing in things))
        raise PatientAmbiguous(
            f"{len(families)} timelines that have nothing to do with each other hold this number: {names}",
            where="PATIENT",
            fix="name the timeline of the patient who is meant with --in DIR",
        )
    return list(things)


def _was_erased(numbers: frozenset[int], real: Sequence[Thing], record: ErasureRecord) -> bool:
    pending = record.pending()
    known = record.erased() | frozenset(pending.patients if pending is not None else ())
    return any(record.commitment(thing.data_set, number) in known for thing in real for number in numbers)


@dataclass(frozen=True, slots=True)
class _Followed:
    """Patients found under other numbers, and timelines where nobody can tell."""

    found: dict[Path, frozenset[int]]
    lost: list[Thing]


def _followed(
    lineage: Lineage, reached: Iterable[Thing], holding: Mapping[Path, frozenset[int]], key: bytes
) -> _Followed:
    """Joins, and what was exported and read again, give people other numbers: follow them as far as it goes."""
    followed = _Followed({}, [])
    by_digest = {thing.digest: thing for thing in lineage.things}
    for thing in reached:
        if thing.sort is not Sort.TIMELINE or thing.path in holding:
            continue
        above = {lineage.called_now(origin) for origin in thing.origins}
        parents = [by_digest[digest] for digest in above if digest in by_digest]
        subjects = frozenset(read_splits(thing.path)["subject_id"])
        numbers = frozenset[int]()
        kept = False
        for parent in parents:
            kept |= bool(subjects & frozenset(read_splits(parent.path)["subject_id"]))
            mine = holding.get(parent.path, frozenset())
            numbers |= _renumbered(parent.path, mine, key) & subjects
            numbers |= _by_source(parent.path, thing.path, mine)
        if numbers:
            followed.found[thing.path] = numbers
        elif not kept:
            followed.lost.append(thing)
    return followed


def _renumbered(parent: Path, numbers: Iterable[int], key: bytes) -> frozenset[int]:
    """The numbers that patients get who were exported as FHIR and read again, with the key or without one."""
    population = population_of(read_settings(parent))
    names = [f"{head}{population}-{number}" for number in numbers for head in ("Patient/", "")]
    return frozenset(subject_number(name, secret) for name in names for secret in {key, b""})


def _by_source(parent: Path, joined: Path, numbers: frozenset[int]) -> frozenset[int]:
    """Who in a joined timeline has a row that came from one of the patients' rows."""
    if not numbers:
        return frozenset()
    theirs = _rows(parent).filter(pl.col("subject_id").is_in(list(numbers)))
    others = _rows(parent).filter(~pl.col("subject_id").is_in(list(numbers)))
    own = theirs.select("source").unique().join(others.select("source").unique(), on="source", how="anti")
    told = _rows(joined).with_columns(pl.col("source").str.split_exact(":", 1).struct[0].alias("system"))
    told = told.with_columns(source=pl.col("source").str.strip_prefix(pl.col("system") + ":"))
    return frozenset(told.join(own, on="source", how="semi")["subject_id"].unique())


def _rows(folder: Path) -> pl.DataFrame:
    frames = [
        frame.select("subject_id", "source").unique()
        for split in SPLITS
        for frame in read_shards(folder, split)
    ]
    return pl.concat(
        frames or [pl.DataFrame(schema={"subject_id": pl.Int64, "source": pl.String})]
    ).drop_nulls()


def _step(thing: Thing, policy: Policy, held: Sequence[Thing]) -> Step:
    """What becomes of one thing that their record reached."""
    why = WHY[thing.sort]
    if thing.untold:
        why = "private: it does not say from which timeline of its data set it learnt, so perhaps from this"
    if thing.sort in MADE_AGAIN or (thing.sort is Sort.EXPORT and not thing.synthetic):
        return Step(thing=thing, action=Action.DELETE, why=why)
    if policy is Policy.DROP:
        return Step(thing=thing, action=Action.DELETE, why=why)
    if policy is Policy.RETRAIN and thing.sort is Sort.MODEL and timeline_of(thing, held) is not None:
        return Step(thing=thing, action=Action.RETRAIN, why=why)
    return Step(thing=thing, action=Action.SUSPEND, why=why)


def timeline_of(model: Thing, held: Sequence[Thing]) -> Thing | None:
    """The timeline that a model learnt from; of a private one the only one of its data set."""
    if model.untold:
        named = [thing for thing in held if thing.data_set == model.data_set]
        return named[0] if len(named) == 1 else None
    return next((thing for thing in held if thing.digest in model.origins), None)


def _rewriting(
    held: Sequence[Thing], lineage: Lineage, holding: Mapping[Path, frozenset[int]]
) -> Iterator[Step]:
    """Timelines, what was made last first: until the first one is rewritten, a stopped run finds all of them again."""
    above = {thing.path: lineage.made_from([thing.digest]) for thing in held}
    order = sorted(held, key=lambda thing: sum(one.sort is Sort.TIMELINE for one in above[thing.path]))
    for thing in order:
        yield Step(thing=thing, action=Action.REWRITE, why="holds their record", numbers=holding[thing.path])


def _not_told(lineage: Lineage, reached: Sequence[Thing]) -> Iterator[Step]:
    paths = {thing.path for thing in reached}
    for thing in lineage.orphans():
        if thing.path not in paths and not is_suspended(thing.path):
            yield _untold(
                thing, "the timeline it learnt from is not here: nobody can tell whether they were in it"
            )
    for path in lineage.unreadable:
        broken = Thing(sort=Sort.TIMELINE, path=path, digest="")
        yield _untold(broken, "it cannot be read: a file is missing, cut short or changed")


def _untold(thing: Thing, why: str) -> Step:
    return Step(thing=thing, action=Action.UNTOLD, why=why)
