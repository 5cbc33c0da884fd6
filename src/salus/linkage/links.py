"""What the ledger comes to: who is one person now, and what a new comparison changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from salus.linkage.comparing import FIELDS, Agreement
from salus.linkage.deciding import BETWEEN, Groups, Known
from salus.linkage.folding import fold_identities
from salus.linkage.ledger import ACTS, STANDINGS, Act, Line, effective, settled_by_people, standing_lines
from salus.linkage.pairs import Compared, Judged, Pair, Record, Standing
from salus.timeline.subjects import subject_number

NO_LONGER = "compared anew, the two no longer agree enough"
UNDONE_BY_HAND = "the comparison would accept it, but a person undid the link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """When something is written into the ledger, and who does it."""

    when: datetime
    who: str
    person: bool


def compared_pairs(pairs: pl.DataFrame) -> list[Compared]:
    """The rows of a comparison as values."""
    names = list(FIELDS)
    columns = ("system_l", "subject_l", "system_r", "subject_r", "weight", *names)
    return [
        Compared(
            pair=Pair(Record(left, one), Record(right, other)),
            weight=weight,
            fields=dict(zip(names, map(Agreement, words), strict=True)),
        )
        for left, one, right, other, weight, *words in pairs.select(columns).iter_rows()
    ]


def known_of(people: pl.DataFrame) -> Known:
    """What is known of records beside their pairs."""
    folded = fold_identities(people)
    numbers = {
        Record(system, subject): frozenset(told)
        for system, subject, told in folded.select("system", "subject", "identifiers").iter_rows()
    }
    born_alike = folded.drop_nulls(["birth", "family"]).filter(pl.len().over("system", "birth", "family") > 1)
    twins = frozenset(Record(*one) for one in born_alike.select("system", "subject").iter_rows())
    return Known(numbers=numbers, twins=twins)


def new_lines(
    lines: Sequence[Line], judged: Iterable[Judged], present: Iterable[Record], *, sign: Signature
) -> list[Line]:
    """What a comparison adds to the ledger: pairs that stand otherwise than before. People's decisions stand.

    A link lasts: that a name became commoner does not end it, and what speaks against it goes to a person.
    ``present``: the records that were compared; pairs of others stay as they are.
    """
    standing, settled = standing_lines(lines), settled_by_people(lines)
    linked = {line.pair for line in effective(lines) if line.act == Act.ACCEPTED}
    found = {one.compared.pair: one for one in judged}
    here = set(present)
    for pair, line in standing.items():
        if pair not in found and pair not in settled and here.issuperset(pair):
            gone = Compared(pair=pair, weight=line.weight or 0.0, fields=line.fields)
            found[pair] = Judged(compared=gone, standing=Standing.REFUSED, reason=NO_LONGER)
    moved = (_moved(standing.get(pair), one, pair in linked) for pair, one in sorted(found.items()))
    return [_judged_line(one, number, sign) for number, one in enumerate(filter(None, moved), len(lines) + 1)]


def _moved(held: Line | None, one: Judged, linked: bool) -> Judged | None:
    """How a pair stands from now on; None: as before. What was a link once (``linked``) a person alone refuses."""
    if held is None:
        return None if one.standing == Standing.REFUSED else one
    if held.act == Act.ACCEPTED and one.reason == BETWEEN:
        return None
    if linked and one.standing == Standing.REFUSED:
        one = replace(one, standing=Standing.DOUBTFUL)
    return None if STANDINGS[held.act] == one.standing else one


def held_back(compared: Iterable[Compared], settled: Mapping[Pair, Standing]) -> list[Judged]:
    """Pairs whose link a person undid: they wait for a person, whatever they weigh."""
    return [
        Judged(compared=one, standing=Standing.DOUBTFUL, reason=UNDONE_BY_HAND)
        for one in compared
        if settled.get(one.pair) == Standing.DOUBTFUL
    ]


def _judged_line(one: Judged, number: int, sign: Signature) -> Line:
    return Line(
        number=number,
        when=sign.when,
        who=sign.who,
        person=sign.person,
        act=ACTS[one.standing],
        pair=one.compared.pair,
        reason=one.reason,
        weight=one.compared.weight,
        fields=one.compared.fields,
    )


def people_now(lines: Iterable[Line]) -> Groups:
    """Who is one person by the links that stand; two that a person told apart are not joined through others either."""
    standing = standing_lines(lines)
    apart = frozenset(pair for pair, line in standing.items() if line.person and line.act == Act.REFUSED)
    groups = Groups(apart=apart)
    linked = [(pair, line) for pair, line in standing.items() if line.act == Act.ACCEPTED]
    for pair, _ in sorted(linked, key=lambda one: (not one[1].person, -(one[1].weight or 0.0), one[0])):
        if not groups.tells_apart(pair):
            groups.join(pair)
    return groups


def person_number(group: Iterable[Record], key: bytes = b"") -> int:
    """The number of a person in the joined timeline: a keyed hash of the first of their records.

    >>> a, b = Record("clinic", 1), Record("lab", 1)
    >>> person_number([b, a]) == person_number([a]) != person_number([b])
    True
    """
    return subject_number(str(min(group)), key)


def person_numbers(records: Iterable[Record], groups: Groups, key: bytes = b"") -> dict[Record, int]:
    """The person's number of each record; who is linked to nobody is a person too."""
    return {record: person_number(groups.members(record), key) for record in records}


def people_count(numbers: Mapping[Record, int]) -> dict[int, int]:
    """How many people have one record, how many two, and so on."""
    sizes: dict[int, int] = defaultdict(int)
    for number in numbers.values():
        sizes[number] += 1
    counts: dict[int, int] = defaultdict(int)
    for size in sizes.values():
        counts[size] += 1
    return dict(sorted(counts.items()))
