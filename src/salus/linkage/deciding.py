"""Which pairs are one person, which are not, and which a person has to decide.

The weight alone is not enough: families share name, address and phone, twins the birth date too. So a pair is accepted
without a person only if it weighs enough, nothing that is one person's own speaks against it, no other record of the
same system fits nearly as well, and the group of records that it would join holds no contradiction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from salus.linkage.comparing import Agreement
from salus.linkage.pairs import Compared, Judged, Pair, Record, Standing, pair_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Bits from which a pair is accepted, from which a person sees it, and by which it must beat every rival."""

    accept: float = 7.0
    doubt: float = 0.0
    margin: float = 6.0


THRESHOLDS = Thresholds()
BETWEEN = "the weight is between the thresholds"
OTHER_NUMBERS = "each has another number of the same authority"
OTHER_GIVEN = "the given names differ"
NO_GIVEN = "one has no given name, without which twins are the same"
TWINS = "one system has two of that family name and birth date, and the given names are not the same"
OTHER_BIRTH = "the birth dates differ"
OTHER_SEX = "the sexes differ and the given names are not the same"
TWO_DIFFER = "two things that are a person's own differ"
RIVAL = "another record of the same system fits nearly as well"
BETTER = "another record of the same system fits better"
TWICE = "another record of the same system fits better: one of them may be there twice"
CHAIN = "it would join two records of one system, or two that are known not to be one person"
ENOUGH = "the weight is above the threshold and nothing speaks against it"
Numbers = Mapping[Record, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of records beside pairs: identifiers, and who shares family name and birth date in a system."""

    numbers: Numbers = field(default_factory=dict)
    twins: frozenset[Record] = frozenset()


D = Agreement.DIFFERENT


def objections(compared: Compared) -> tuple[str, ...]:
    """What speaks against a pair, whatever it weighs."""
    fields = compared.fields
    mistyped = fields["identifiers"] == Agreement.SIMILAR
    namesake = fields["given"] == fields["family"] == fields["birth_date"] == Agreement.SAME
    vouched = fields["identifiers"] == fields["birth_date"] == Agreement.SAME and fields["sex"] != D
    told = {
        OTHER_NUMBERS: fields["identifiers"] == D or (mistyped and not namesake),
        OTHER_GIVEN: fields["given"] == D and not vouched,
        OTHER_BIRTH: fields["birth_date"] == D,
        NO_GIVEN: fields["given"] == Agreement.NOT_SAID and fields["identifiers"] != Agreement.SAME,
        OTHER_SEX: fields["sex"] == D and fields["given"] not in (Agreement.SAME, Agreement.SWAPPED),
    }
    return tuple(reason for reason, holds in told.items() if holds)


@dataclass(slots=True)
class Groups:
    """Records that are one person, joined pair by pair; what contradicts is not joined.

    ``apart``: pairs that are known not to be one person. ``numbers``: the identifiers of each record.
    """

    apart: frozenset[Pair] = frozenset()
    numbers: Numbers = field(default_factory=dict)
    _group: dict[Record, int] = field(default_factory=dict)
    _members: dict[int, list[Record]] = field(default_factory=dict)

    def members(self, record: Record) -> list[Record]:
        """Who is one person with a record, itself too."""
        return self._members[self._group[record]] if record in self._group else [record]

    def join(self, pair: Pair) -> None:
        """Make the two one person."""
        left, right = self.members(pair.left), self.members(pair.right)
        if left is right:
            return
        kept, moved = (left, right) if len(left) >= len(right) else (right, left)
        number = self._group.setdefault(kept[0], len(self._group))
        self._members.pop(self._group.get(moved[0], -1), None)
        self._members[number] = kept
        kept.extend(moved)
        self._group.update(dict.fromkeys(moved, number))

    def contradicts(self, pair: Pair) -> bool:
        """Whether joining the two would join what cannot be one person."""
        left, right = self.members(pair.left), self.members(pair.right)
        if left is right:
            return False
        if {one.system for one in left} & {one.system for one in right}:
            return True
        return self.tells_apart(pair) or conflicting(self._numbers(left), self._numbers(right))

    def tells_apart(self, pair: Pair) -> bool:
        """Whether joining the two would join a pair that is known not to be one person."""
        left, right = self.members(pair.left), self.members(pair.right)
        return left is not right and any(pair_of(one, other) in self.apart for one in left for other in right)

    def _numbers(self, records: list[Record]) -> frozenset[str]:
        return frozenset().union(*(self.numbers.get(one, frozenset()) for one in records))


def conflicting(left: frozenset[str], right: frozenset[str]) -> bool:
    """Whether two sets of "authority|number" hold one authority with none but different numbers.

    >>> conflicting(frozenset({"A|1234"}), frozenset({"A|5678"}))
    True
    >>> conflicting(frozenset({"A|1234", "A|99"}), frozenset({"A|99", "B|3"}))
    False
    >>> conflicting(frozenset({"A|1234"}), frozenset({"A|1243"}))  # mistyped
    False
    """
    ours, theirs = _by_authority(left), _by_authority(right)
    return any(
        not any(_mistyped(one, other) for one in ours[name] for other in theirs[name])
        for name in ours.keys() & theirs.keys()
    )


def _by_authority(identifiers: frozenset[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in identifiers:
        authority, _, number = one.rpartition("|")
        found[authority].add(number)
    return found


def _mistyped(one: str, other: str) -> bool:
    """Whether two numbers are the same but for one sign that is wrong, missing or turned round with the next."""
    short, long = sorted((one, other), key=len)
    start = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    rest, more = short[start:], long[start:]
    if len(long) - len(short) == 1:
        return rest == more[1:]
    return len(short) == len(long) and (
        rest[1:] == more[1:] or (rest[:2], rest[2:]) == (more[1::-1], more[2:])
    )


def judge(
    compared: Iterable[Compared],
    settled: Mapping[Pair, Standing],
    *,
    known: Known,
    limits: Thresholds = THRESHOLDS,
) -> list[Judged]:
    """Judge all pairs by themselves, beside their rivals, and in their group; the order they come in changes nothing.

    ``settled``: what people decided of pairs, which stands: such pairs are not judged again.
    """
    pairs = sorted(compared, key=lambda one: (-one.weight, one.pair))
    alone = {one.pair: _alone(one, known, limits) for one in pairs if one.pair not in settled}
    standing = [one for one in pairs if _stands(one.pair, settled, alone)]
    best, second = _best_two(standing)
    judged = {
        one.pair: _beside_rivals(alone[one.pair], (best, second), limits)
        for one in pairs
        if one.pair in alone
    }
    return list(_in_groups(judged, settled, known.numbers))


def _stands(pair: Pair, settled: Mapping[Pair, Standing], alone: Mapping[Pair, Judged]) -> bool:
    return (settled[pair] if pair in settled else alone[pair].standing) != Standing.REFUSED


def _alone(compared: Compared, known: Known, limits: Thresholds) -> Judged:
    against = objections(compared)
    if not against and _may_be_twins(compared, known):
        against = (TWINS,)
    own_number = compared.fields["identifiers"] == Agreement.SAME
    if len(against) > 1 and not own_number:
        return Judged(compared=compared, standing=Standing.REFUSED, reason=TWO_DIFFER)
    if against:
        return Judged(compared=compared, standing=Standing.DOUBTFUL, reason="; ".join(against))
    if compared.weight < limits.accept:
        return Judged(compared=compared, standing=Standing.DOUBTFUL, reason=BETWEEN)
    return Judged(compared=compared, standing=Standing.ACCEPTED, reason=ENOUGH)


def _may_be_twins(compared: Compared, known: Known) -> bool:
    fields, pair = compared.fields, compared.pair
    surely = (
        Agreement.SAME in (fields["given"], fields["identifiers"]) or fields["given"] == Agreement.SWAPPED
    )
    return not surely and (pair.left in known.twins or pair.right in known.twins)


Place = tuple[Record, str]


def _best_two(pairs: Iterable[Compared]) -> tuple[dict[Place, Compared], dict[Place, Compared]]:
    """For each record and each other system the two pairs that weigh most; ``pairs`` begin with the heaviest."""
    best: dict[Place, Compared] = {}
    second: dict[Place, Compared] = {}
    for one in pairs:
        for place in _places(one.pair):
            if place in best:
                second.setdefault(place, one)
            else:
                best[place] = one
    return best, second


def _places(pair: Pair) -> tuple[Place, Place]:
    return (pair.left, pair.right.system), (pair.right, pair.left.system)


def _beside_rivals(
    judged: Judged, ranked: tuple[dict[Place, Compared], dict[Place, Compared]], limits: Thresholds
) -> Judged:
    if judged.standing == Standing.REFUSED:
        return judged
    best, second = ranked
    mine = judged.compared
    rivals = [
        rival
        for place in _places(mine.pair)
        if (rival := second.get(place) if best[place].pair == mine.pair else best[place]) is not None
    ]
    strongest = max((rival.weight for rival in rivals), default=None)
    if strongest is None or strongest <= mine.weight - limits.margin:
        return judged
    if strongest < mine.weight + limits.margin:
        reason = RIVAL if judged.standing == Standing.ACCEPTED else f"{judged.reason}; {RIVAL}"
        return Judged(compared=mine, standing=Standing.DOUBTFUL, reason=reason)
    if objections(mine):
        return Judged(compared=mine, standing=Standing.REFUSED, reason=BETTER)
    return Judged(compared=mine, standing=Standing.DOUBTFUL, reason=TWICE)


def _in_groups(
    judged: Mapping[Pair, Judged], settled: Mapping[Pair, Standing], numbers: Numbers
) -> Iterable[Judged]:
    """Accept from the heaviest down; a pair that contradicts its group goes to a person."""
    apart = {pair for pair, one in judged.items() if one.standing == Standing.REFUSED}
    apart |= {pair for pair, standing in settled.items() if standing == Standing.REFUSED}
    groups = Groups(apart=frozenset(apart), numbers=numbers)
    for pair in sorted(pair for pair, standing in settled.items() if standing == Standing.ACCEPTED):
        groups.join(pair)
    for pair, one in judged.items():
        if one.standing != Standing.ACCEPTED:
            yield one
        elif groups.contradicts(pair):
            yield Judged(compared=one.compared, standing=Standing.DOUBTFUL, reason=CHAIN)
        else:
            groups.join(pair)
            yield one
