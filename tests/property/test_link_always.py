"""What holds of links whatever the people, systems and decisions: beside slow and obvious versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.linkage_population import SYSTEMS, population
from salus.errors import SalusError
from salus.linkage.comparing import compare_identities
from salus.linkage.deciding import THRESHOLDS, Groups, conflicting, judge
from salus.linkage.identity import PRIVATE, Identity, identity_frame
from salus.linkage.ledger import Act, Line, append_lines, read_ledger, settled_by_people, standing_lines
from salus.linkage.links import compared_pairs, known_of, people_now, person_numbers
from salus.linkage.pairs import Judged, Pair, Record, Standing, pair_of
from salus.linkage.vault import open_vault, write_identities
from salus.progress import QUIET
from salus.timeline.columns import EVENT_COLUMNS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_timeline, write_timeline
from salus.workflows.link import Signed, decide, show, undo
from salus.workflows.link_join import join

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = datetime(2020, 1, 1)
NAMES = ("clinic", "lab", "trial")
SLOW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
FACTS = [name for name in EVENT_COLUMNS if name not in ("subject_id", "source")]


def line(number: int, pair: Pair, act: Act, **told: object) -> Line:
    """A line of the ledger by a person."""
    said = Line(number=number, when=NOW, who="I. Kaya", person=True, act=act, pair=pair, reason="so it is")
    return replace(said, **told)  # type: ignore[arg-type]


@st.composite
def split_people(
    draw: st.DrawFn,
) -> tuple[dict[int, set[int]], dict[int, set[str]], dict[tuple[int, int], list[str]]]:
    """People, each with distinct events; which systems know the person; and which of these tell each event."""
    events, known, told = {}, {}, {}
    for person in range(draw(st.integers(1, 5))):
        known[person] = draw(st.sets(st.sampled_from(NAMES), min_size=1))
        events[person] = draw(st.sets(st.integers(0, 30), min_size=1, max_size=6))
        for event in events[person]:
            systems = st.lists(st.sampled_from(sorted(known[person])), min_size=1, max_size=3, unique=True)
            told[person, event] = draw(systems)
        silent = known[person] - {name for event in events[person] for name in told[person, event]}
        known[person] -= silent
    return events, known, told


def event_row(subject: int, event: int) -> dict[str, object]:
    """The event of a number: every tenth is static, and three codes take turns."""
    time = None if event % 10 == 0 else START + timedelta(hours=event // 2)
    return {
        "subject_id": subject,
        "time": time,
        "code": f"CODE//{event % 3}",
        "numeric_value": float(event),
        "known_time": time,
        "source": f"row:{event}",
    }


def write_system(folder: Path, rows: Iterable[dict[str, object]]) -> None:
    """One system's timeline."""
    frame = pl.DataFrame(list(rows), schema_overrides={**EVENT_COLUMNS, "subject_id": pl.Int64})
    frame = frame.with_columns(split=pl.lit("train")).sort("subject_id", "time", nulls_last=False)
    codes = frame.select("code").unique().with_columns(pl.col("code").alias("description"))
    write_timeline(folder, frame, codes=codes, settings=TimelineSettings(name=folder.name))


@SLOW
@given(split_people(), st.permutations(NAMES))
def test_the_union_of_split_timelines_under_the_true_links_is_the_unsplit_one(people, order):
    events, known, told = people
    number = {(name, who): 100 * NAMES.index(name) + 7 * who for who in events for name in NAMES}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        systems = [name for name in order if any(name in told[one] for one in told)]
        if len(systems) < 2:
            return
        for name in systems:
            rows = [event_row(number[name, who], event) for (who, event), by in told.items() if name in by]
            write_system(folder / name, rows)
        declared = "".join(f"  {name}: {{as: fhir, identities: x, timeline: {name}}}\n" for name in systems)
        (folder / "link.yaml").write_text("folder: identities\nsystems:\n" + declared)
        vault = open_vault(folder / "identities")
        pairs = [
            pair_of(Record(one, number[one, who]), Record(other, number[other, who]))
            for who in events
            for one, other in combinations(sorted(known[who]), 2)
        ]
        lines = [line(place, pair, Act.ACCEPTED) for place, pair in enumerate(pairs, 1)]
        append_lines(vault, lines)
        join(folder / "link.yaml", folder / "joined", progress=QUIET)
        records = [Record(name, number[name, who]) for who in events for name in known[who]]
        persons = person_numbers(records, people_now(lines))
        of = {persons[Record(name, number[name, who])]: who for who in events for name in known[who]}
        joined = read_timeline(folder / "joined")
        found = sorted(
            (of[row["subject_id"]], *(str(row[name]) for name in FACTS)) for row in joined.to_dicts()
        )
        unsplit = pl.DataFrame(
            [event_row(who, event) for who in events for event in events[who]], schema_overrides=EVENT_COLUMNS
        )
        for name in set(FACTS) - set(unsplit.columns):
            unsplit = unsplit.with_columns(pl.lit(None).alias(name))
        expected = sorted(
            (row["subject_id"], *(str(row[name]) for name in FACTS)) for row in unsplit.to_dicts()
        )
        assert found == expected


RECORDS = [Record(system, subject) for system in NAMES for subject in (1, 2)]
PAIRS = [pair_of(one, other) for one, other in combinations(RECORDS, 2) if one.system != other.system]
DECIDED = st.lists(
    st.tuples(
        st.sampled_from(PAIRS), st.sampled_from([Act.ACCEPTED, Act.DOUBTED, Act.REFUSED]), st.booleans()
    ),
    max_size=12,
)


def decided(drawn: list[tuple[Pair, Act, bool]]) -> list[Line]:
    """A ledger of these decisions, some by the comparison."""
    return [
        line(n, pair, act, person=person, weight=float(n)) for n, (pair, act, person) in enumerate(drawn, 1)
    ]


def group_sets(lines: list[Line]) -> set[frozenset[Record]]:
    """Who is one person."""
    groups = people_now(lines)
    return {frozenset(groups.members(one)) for one in RECORDS}


@given(DECIDED, st.sampled_from(PAIRS), st.sampled_from([Act.ACCEPTED, Act.REFUSED]))
def test_a_decision_undone_leaves_everything_exactly_as_before(drawn, pair, act):
    before = decided(drawn)
    then = [*before, line(len(before) + 1, pair, act)]
    undone = [*then, line(len(then) + 1, pair, Act.UNDONE, undoes=len(then))]
    assert standing_lines(undone) == standing_lines(before)
    assert settled_by_people(undone) == settled_by_people(before)
    assert group_sets(undone) == group_sets(before)
    redone = [*undone, line(len(undone) + 1, pair, Act.UNDONE, undoes=len(undone))]
    assert standing_lines(redone) == standing_lines(then)
    assert group_sets(redone) == group_sets(then)


@given(DECIDED)
def test_nobody_is_one_person_with_whom_a_person_told_them_apart(drawn):
    lines = decided(drawn)
    groups = people_now(lines)
    for pair, held in standing_lines(lines).items():
        if held.person and held.act == Act.REFUSED:
            assert pair.left not in groups.members(pair.right)


@given(st.lists(st.sampled_from(PAIRS), max_size=10))
def test_groups_are_what_can_be_reached_over_links(pairs):
    """Beside a slow version: walk from each record until nothing new comes."""
    groups = Groups()
    for pair in pairs:
        groups.join(pair)
    for start in RECORDS:
        reached = {start}
        while more := {b for pair in pairs for a, b in (pair, pair[::-1]) if a in reached} - reached:
            reached |= more
        assert set(groups.members(start)) == reached


@given(st.text("ab1", max_size=5), st.text("ab1", max_size=5))
def test_a_mistyped_number_is_one_that_a_single_mistake_makes(one, other):
    """Beside all that one mistake can make: a sign more, less or other, or two turned round."""
    places = range(len(one) + 1)
    made = {one} | {one[:place] + sign + one[place:] for place in places for sign in "ab1"}
    made |= {one[:place] + one[place + 1 :] for place in places}
    made |= {one[:place] + sign + one[place + 1 :] for place in places[:-1] for sign in "ab1"}
    made |= {one[:place] + one[place : place + 2][::-1] + one[place + 2 :] for place in places}
    assert conflicting(frozenset({f"A|{one}"}), frozenset({f"A|{other}"})) == (other not in made)


@given(DECIDED)
def test_a_ledger_is_read_as_it_was_written(drawn):
    with TemporaryDirectory() as scratch:
        vault, lines = open_vault(Path(scratch) / "v"), decided(drawn)
        append_lines(vault, lines[:5])
        append_lines(vault, lines[5:])
        assert read_ledger(vault) == tuple(lines)


def judged(people: Iterable[Identity]) -> list[Judged]:
    """All pairs of some people, judged."""
    frame = identity_frame(people)
    compared = compared_pairs(compare_identities(frame, at_least=THRESHOLDS.doubt))
    return judge(compared, {}, known=known_of(frame))


@SLOW
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_systems_and_records_changes_nothing(seed, luck):
    records = list(population(40, seed=seed).records)
    shuffled = luck.sample(records, len(records))
    assert judged(records) == judged(shuffled)


@SLOW
@given(st.integers(0, 10_000))
def test_no_group_holds_two_records_of_one_system_or_two_known_of_one_authority(seed):
    people = population(40, seed=seed).records
    groups = Groups()
    for one in judged(people):
        if one.standing == Standing.ACCEPTED:
            groups.join(one.compared.pair)
    for record in people:
        systems = [one.system for one in groups.members(Record(record.system, record.subject))]
        assert len(systems) == len(set(systems)) <= len(SYSTEMS)


CANARY = st.text("zqxj", min_size=4, max_size=12).map(str.capitalize)


@SLOW
@given(CANARY, CANARY, st.from_regex(r"0987[0-9]{6}", fullmatch=True), st.integers(1, 3))
def test_no_value_of_a_patient_is_in_the_ledger_or_in_an_error(given_name, family, phone, wrong):
    told = {"given": given_name, "family": family, "street": f"7 {family} Lane", "phone": phone}
    told |= {
        "birth_date": datetime(1987, 6, 5).date(),
        "postcode": "98765",
        "identifiers": (f"urn:x|{phone}9",),
    }
    people = [
        Identity(system=name, subject=number, id=f"id{phone}", **told) for number, name in enumerate("ab", 1)
    ]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        declared = "  a: {as: fhir, identities: x}\n  b: {as: fhir, identities: x}\n"
        path = folder / "link.yaml"
        path.write_text("folder: v\nsystems:\n" + declared)
        vault = open_vault(folder / "v")
        write_identities(vault, identity_frame(people))
        append_lines(vault, [line(1, pair_of(Record("a", 1), Record("b", 2)), Act.DOUBTED, person=False)])
        show(path, 1, signed=Signed(by="I. Kaya", when=NOW))
        said = []
        for reason in (f"it is {given_name}", f"phone {phone}", "born 5.6.1987", "98765", ""):
            try:
                decide(path, 1, Standing.ACCEPTED, signed=Signed(by="I. Kaya", reason=reason, when=NOW))
            except SalusError as error:
                said.append(str(error))
        assert len(said) == 5
        decide(path, 1, Standing.ACCEPTED, signed=Signed(by="I. Kaya", reason="confirmed", when=NOW))
        try:
            undo(path, wrong + 7, signed=Signed(by="I. Kaya", reason="confirmed", when=NOW))
        except SalusError as error:
            said.append(str(error))
        written = ("".join(said) + (vault / "ledger.jsonl").read_text()).lower()
        values = [given_name, family, phone, "98765", "1987-06-05", "19870605", f"id{phone}"]
        assert set(told) | {"id", "former"} == set(PRIVATE)
        assert not [value for value in values if value.lower() in written]
