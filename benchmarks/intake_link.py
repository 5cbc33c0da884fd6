"""Who is one patient in four careless systems: precision and recall of links nobody looked at, and the union.

Invented people (:mod:`benchmarks.linkage_population`) are written as FHIR, HL7 v2, OMOP-numbered and plain CSV files,
read and linked by what `salus link` runs, and counted over all pairs of records that end up as one person: pairs
through a third record count too. Thresholds and rules were chosen on seeds 1, 11 and 12, and by what 2 to 7 gave.
Beside recall and precision stands the simplest honest rule: the same given name, family name and birth date.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import polars as pl

from benchmarks.linkage_files import write_systems
from benchmarks.linkage_population import SHORT, Pool, Population, population, read_pool
from benchmarks.rows import Row, commit, is_met
from salus.linkage.folding import fold_family, fold_given
from salus.linkage.ledger import Act, Line, append_lines, read_ledger, standing_lines
from salus.linkage.links import people_now, person_numbers
from salus.linkage.pairs import Pair, Record, pair_of
from salus.linkage.vault import open_vault, read_identities
from salus.progress import QUIET
from salus.timeline.columns import EVENT_COLUMNS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_timeline, write_timeline
from salus.workflows.link import link
from salus.workflows.link_join import join

PATIENTS = "fhir_r4_synthea600.tar.xz"
PEOPLE, SEEDS, CROWD = 5_000, (8, 9, 10), 1_000
LEAST_PRECISION, LEAST_RECALL, MOST_DOUBTFUL = 0.999, 0.95, 0.10
DRAWS = 1_000
COMMAND = "make bench-intake"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
Key = tuple[str, str]
"""A system and an id in it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of each person: pairs linked rightly, pairs linked wrongly (half at each end), and pairs to be found."""

    right: np.ndarray
    wrong: np.ndarray
    there: np.ndarray

    @property
    def precision(self) -> float:
        """Which part of the pairs linked are one person."""
        return float(self.right.sum() / max(self.right.sum() + self.wrong.sum(), 1))

    @property
    def recall(self) -> float:
        """Which part of the pairs that are one person are linked."""
        return float(self.right.sum() / max(self.there.sum(), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of one population."""

    linked: Counts
    exact: Counts
    doubtful: int
    accepted: int
    cpu_seconds: float


def count_pairs(people: Population, pairs: Iterable[tuple[Key, Key]]) -> Counts:
    """Count linked pairs by person."""
    truth = {(one.system, one.id): people.truth[one.system, one.subject] for one in people.records}
    size = max(truth.values()) + 1
    right, wrong, there = np.zeros(size), np.zeros(size), np.zeros(size)
    for one, other in pairs:
        if truth[one] == truth[other]:
            right[truth[one]] += 1
        else:
            wrong[[truth[one], truth[other]]] += 0.5
    for who, records in Counter(truth.values()).items():
        there[who] = records * (records - 1) / 2
    return Counts(right, wrong, there)


def exact_pairs(people: Population) -> Iterable[tuple[Key, Key]]:
    """The simplest honest rule: the same names and birth date, in two systems."""
    alike = defaultdict(list)
    for one in people.records:
        if one.given and one.family and one.birth_date:
            alike[fold_given(one.given), fold_family(one.family), one.birth_date].append((one.system, one.id))
    for records in alike.values():
        yield from ((a, b) for a, b in combinations(sorted(records), 2) if a[0] != b[0])


def measure(people: Population, folder: Path) -> Found:
    """Write the four systems, link them, and count what nobody had to look at."""
    path = write_systems(folder, people)
    before = os.times()
    link(path, now=NOW, progress=QUIET)
    after = os.times()
    lines = read_ledger(folder / "identities")
    told = read_identities(folder / "identities").select("system", "subject", "id")
    names = {Record(system, subject): (system, name) for system, subject, name in told.iter_rows()}
    groups, pairs = people_now(lines), set()
    for record in names:
        pairs |= set(combinations(sorted(groups.members(record)), 2))
    acts = Counter(line.act for line in standing_lines(lines).values())
    return Found(
        linked=count_pairs(people, ((names[one], names[other]) for one, other in pairs)),
        exact=count_pairs(people, exact_pairs(people)),
        doubtful=acts[Act.DOUBTED],
        accepted=acts[Act.ACCEPTED],
        cpu_seconds=after.user + after.system - before.user - before.system,
    )


def interval(counts: Counts, read: Callable[[Counts], float], seed: int) -> tuple[float, float]:
    """95 %, people drawn again with replacement; a person with their pairs stays whole."""
    chance = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        who = chance.integers(0, len(counts.there), len(counts.there))
        drawn.append(read(Counts(counts.right[who], counts.wrong[who], counts.there[who])))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def never_wrong(counts: Counts) -> float:
    """The lower end where no link was wrong: as many linked people as there are, at most 3 in them (rule of three)."""
    return 1 - 3 / max(int((counts.right > 0).sum()), 3)


def events_that_differ(people: Population, folder: Path, *, seed: int) -> int:
    """How many events the union under the true links has otherwise than the unsplit timeline."""
    luck, path = Random(seed), write_systems(folder, people)
    held: dict[int, list[Record]] = defaultdict(list)
    for (system, subject), who in people.truth.items():
        held[who].append(Record(system, subject))
    told: dict[str, list[dict[str, object]]] = defaultdict(list)
    unsplit = []
    for who, records in held.items():
        for place in range(luck.randrange(1, 30)):
            event = _event(place, luck)
            unsplit.append({"subject_id": who, **event})
            for record in luck.sample(records, luck.randint(1, min(2, len(records)))):
                told[record.system].append({"subject_id": record.subject, **event})
        for record in records:
            told[record.system].append({"subject_id": record.subject, **_birth(who)})
        unsplit.append({"subject_id": who, **_birth(who)})
    for system, rows_told in told.items():
        frame = pl.DataFrame(rows_told, schema_overrides=EVENT_COLUMNS).with_columns(split=pl.lit("train"))
        codes = frame.select("code").unique().with_columns(pl.col("code").alias("description"))
        ordered = frame.sort("subject_id", "time", nulls_last=False)
        write_timeline(folder / system, ordered, codes=codes, settings=TimelineSettings(name=system))
    pairs = [pair_of(*two) for records in held.values() for two in combinations(records, 2)]
    lines = [_true_link(number, pair) for number, pair in enumerate(pairs, 1)]
    append_lines(open_vault(folder / "identities"), lines)
    join(path, folder / "joined", progress=QUIET)
    persons = person_numbers([one for records in held.values() for one in records], people_now(lines))
    whose = {number: people.truth[record] for record, number in persons.items()}
    joined = read_timeline(folder / "joined").drop("split", "source")
    joined = joined.with_columns(pl.col("subject_id").replace_strict(whose, return_dtype=pl.Int64))
    expected = pl.DataFrame(unsplit, schema_overrides=EVENT_COLUMNS)
    columns = expected.columns
    found = Counter(joined.select(columns).rows())
    wanted = Counter(expected.select(pl.col(name).cast(joined.schema[name]) for name in columns).rows())
    return (found - wanted).total() + (wanted - found).total()


def _event(place: int, luck: Random) -> dict[str, object]:
    moment = datetime(2020, 1, 1) + timedelta(hours=place, minutes=luck.randrange(60))
    return {
        "time": moment,
        "code": f"CODE//{luck.randrange(20)}",
        "numeric_value": float(luck.randrange(1000)),
        "known_time": moment + timedelta(minutes=luck.randrange(90)),
    }


def _birth(who: int) -> dict[str, object]:
    born = datetime(1940, 1, 1) + timedelta(days=who)
    return {"time": born, "code": "MEDS_BIRTH", "numeric_value": None, "known_time": born}


def _true_link(number: int, pair: Pair) -> Line:
    return Line(
        number=number, when=NOW, who="truth", person=True, act=Act.ACCEPTED, pair=pair, reason="so drawn"
    )


Target = tuple[str, str, float]
DOUBTFUL, DIFFER = "link_share_of_pairs_that_go_to_a_person", "link_union_events_that_differ"
TARGETS: dict[str, Target] = {
    "link_precision": ("1", "max", LEAST_PRECISION),
    "link_recall": ("1", "max", LEAST_RECALL),
    DOUBTFUL: ("1", "min", MOST_DOUBTFUL),
    "link_precision_where_names_are_common": ("1", "max", LEAST_PRECISION),
    "link_recall_where_names_are_common": ("1", "max", LEAST_RECALL),
    DIFFER: ("events", "min", 0.0),
}


def rows(*, say: Callable[[str], None] = print) -> list[Row]:
    """Every number that was asked of linking; without Synthea's names they are not measured."""
    archive = Path(os.environ.get("SALUS_DATA", "")) / PATIENTS
    if not archive.is_file():
        say(f"link: not measured, for $SALUS_DATA holds no {PATIENTS}")
        return [_row(name, None) for name in TARGETS]
    pool, began = read_pool(archive), time.perf_counter()
    usual = _found(pool, PEOPLE, say)
    crowd = _found(SHORT, CROWD, say)
    with tempfile.TemporaryDirectory() as name:
        differ = events_that_differ(population(CROWD, seed=SEEDS[0], pool=pool), Path(name), seed=SEEDS[0])
    say(f"link: {differ} events differ between the union under the true links and the unsplit timeline")
    took = (time.perf_counter() - began, sum(one.cpu_seconds for one in (*usual, *crowd)))
    told = {**_rates(usual, ""), **_rates(crowd, "_where_names_are_common")}
    waiting = sum(one.doubtful for one in usual)
    told[DOUBTFUL] = _Told(waiting / (waiting + sum(one.accepted for one in usual)))
    told[DIFFER] = _Told(float(differ))
    return [_row(name, told[name], took) for name in TARGETS]


@dataclass(frozen=True, slots=True)
class _Told:
    """A value, its interval, and what the simplest rule reaches."""

    value: float
    bounds: tuple[float, float] | None = None
    beside: float | None = None


def _found(pool: Pool, people: int, say: Callable[[str], None]) -> list[Found]:
    every = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as name:
            drawn = population(people, seed=seed, pool=pool)
            found = measure(drawn, Path(name))
        say(
            f"link: seed {seed}, {len(drawn.records):,} records: precision {found.linked.precision:.5f}, recall"
            f" {found.linked.recall:.4f} (exact rule {found.exact.precision:.5f}, {found.exact.recall:.4f}),"
            f" {found.doubtful:,} pairs to a person, {found.cpu_seconds:.1f} CPU-s"
        )
        every.append(found)
    return every


def _rates(found: Sequence[Found], kind: str) -> dict[str, _Told]:
    linked, exact = _summed([one.linked for one in found]), _summed([one.exact for one in found])
    precise = interval(linked, lambda counts: counts.precision, SEEDS[0])
    lower = min(precise[0], never_wrong(linked))
    recalled = interval(linked, lambda counts: counts.recall, SEEDS[0])
    return {
        f"link_precision{kind}": _Told(linked.precision, (lower, precise[1]), exact.precision),
        f"link_recall{kind}": _Told(linked.recall, recalled, exact.recall),
    }


def _summed(every: Sequence[Counts]) -> Counts:
    """The people of several populations as one."""
    right, wrong, there = zip(*((one.right, one.wrong, one.there) for one in every), strict=True)
    return Counts(np.concatenate(right), np.concatenate(wrong), np.concatenate(there))


def _row(name: str, told: _Told | None, took: tuple[float, float] = (0.0, 0.0)) -> Row:
    unit, direction, target = TARGETS[name]
    value = told.value if told else None
    lower, upper = (told.bounds if told else None) or (None, None)
    return Row(
        name=name,
        value=value,
        lower=lower,
        upper=upper,
        unit=unit,
        direction=direction,
        target=target,
        met=is_met(value, direction, target),
        baseline=told.beside if told else None,
        command=COMMAND,
        seed=SEEDS[0],
        commit=commit(),
        hardware=f"{platform.machine()}, one thread",
        seconds=took[0],
        cpu_seconds=took[1],
    )


if __name__ == "__main__":
    rows()
