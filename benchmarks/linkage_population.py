"""An invented population in four systems, as careless as real ones, of which it is known who is who.

People live in households: couples, children, twins (some with names a letter apart), fathers and sons of one name. Some
came from where birth dates are not kept: born on 1 January, with the commonest names. Newborns are "Baby". Each
system holds part of them, under ids of its own, and writes them down with typing errors, swapped names, day for month,
old addresses and surnames, other people's phones, numbers left out or taken from a relative. Everything is drawn
from one seed. Names and streets come from Synthea's invented patients (:func:`read_pool`), or from a short list.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

from salus.linkage.identity import Identity

SYSTEMS = ("clinic", "lab", "registry", "trial")
HOLDS = (0.7, 0.6, 0.6, 0.5)
"""Which part of the people each system holds."""
CARELESS = (1.0, 1.5, 1.0, 2.0)
"""How many times the usual mistakes each system makes."""
NATIONAL, INSURANCE = "urn:national", "urn:insurance"
NUMBERS: tuple[tuple[str, ...], ...] = ((NATIONAL, INSURANCE), (NATIONAL,), (INSURANCE,), ())
"""Whose numbers a system asks for; a trial asks for none."""
TOLD = 0.6
"""How often a number that is asked for is told."""
ARRIVED = 0.05
"""Which part of the households is one person without a known birthday: about one person in forty."""
BABIES = date(2022, 1, 1)
"""Who was born later was a newborn without a name when some systems wrote them down."""
ZIPF = 0.7
"""How unequal names are: the commonest of 300 families is borne by about one in fifty."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What people are made of."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]
    streets: tuple[str, ...]
    postcodes: tuple[str, ...]


SHORT = Pool(
    women=(
        "Anna",
        "Maria",
        "Sofia",
        "Emma",
        "Hanna",
        "Hannah",
        "Ida",
        "Clara",
        "Nora",
        "Lena",
        "Julia",
        "Elif",
    ),
    men=("Jan", "Paul", "Ben", "Finn", "Noah", "Emil", "Omar", "Anton", "Luis", "Luca", "Lukas", "Mehmet"),
    families=(
        "Meyer",
        "Maier",
        "Novak",
        "Garcia",
        "Haddad",
        "Yilmaz",
        "Larsen",
        "Larson",
        "Okafor",
        "Brandt",
    ),
    streets=("Mill Lane", "High Street", "Station Road", "Church Street", "Park Avenue", "Garden Way"),
    postcodes=tuple(str(10000 + 37 * number) for number in range(40)),
)
"""Enough for tests: many people of one name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who somebody is. ``before``: family name before a marriage. ``moved_from``: street and postcode of before."""

    given: str
    middle: str
    family: str
    before: str
    birth: date
    sex: str
    street: str
    postcode: str
    moved_from: tuple[str, str]
    phone: str
    numbers: tuple[tuple[str, str], ...]
    household: int


@dataclass(frozen=True, slots=True)
class Population:
    """What the systems hold, and for each record (system, subject) which person it is."""

    records: tuple[Identity, ...]
    truth: dict[tuple[str, int], int]

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems' names."""
        return SYSTEMS


def read_pool(archive: Path) -> Pool:
    """Names, streets and postcodes of the Patients in an archive of Synthea's FHIR bundles."""
    found: dict[str, list[str]] = {"female": [], "male": [], "families": [], "streets": [], "postcodes": []}
    with tarfile.open(archive, "r|xz") as packed:
        for member in packed:
            stream = packed.extractfile(member) if member.name.endswith(".json") else None
            if stream is None:
                continue
            for entry in json.load(stream).get("entry", []):
                if entry["resource"]["resourceType"] == "Patient":
                    _take(entry["resource"], found)
    kept = {name: tuple(sorted(set(words))) for name, words in found.items()}
    return Pool(kept["female"], kept["male"], kept["families"], kept["streets"], kept["postcodes"])


def _take(patient: dict[str, list[dict[str, list[str]]]], found: dict[str, list[str]]) -> None:
    for name in patient["name"]:
        found[str(patient["gender"])].append(re.sub(r"\d", "", name["given"][0]))
        found["families"].append(re.sub(r"\d", "", str(name["family"])))
    for address in patient["address"]:
        found["streets"].append(re.sub(r"^\d+ ", "", address["line"][0]))
        if "postalCode" in address:
            found["postcodes"].append(str(address["postalCode"]))


def population(people: int, *, seed: int, pool: Pool = SHORT) -> Population:
    """So many people in four systems."""
    luck = Random(seed)
    persons = _persons(people, luck, pool)
    records, truth = [], {}
    for place, system in enumerate(SYSTEMS):
        numbers = luck.sample(range(100_000, 100_000 + 10 * people), people)
        for who, person in enumerate(persons):
            if luck.random() >= HOLDS[place]:
                continue
            kin = [one for one in _near(persons, who) if one.household == person.household]
            record = _written(person, kin, place, luck)
            record = replace(record, system=system, subject=numbers[who], id=str(numbers[who]))
            records.append(_mistaken(record, CARELESS[place], luck, pool))
            truth[system, numbers[who]] = who
    return Population(tuple(records), truth)


def _near(persons: Sequence[Person], who: int) -> Sequence[Person]:
    return [
        one for place, one in enumerate(persons[max(who - 6, 0) : who + 7], max(who - 6, 0)) if place != who
    ]


def _persons(count: int, luck: Random, pool: Pool) -> list[Person]:
    persons: list[Person] = []
    household = 0
    while len(persons) < count:
        arrived = luck.random() < ARRIVED
        persons += (
            [_without_birthday(luck, pool, household)] if arrived else _household(household, luck, pool)
        )
        household += 1
    return persons[:count]


def _without_birthday(luck: Random, pool: Pool, household: int) -> Person:
    """Somebody of whom the year of birth alone is known, with one of the ten commonest names."""
    few = replace(pool, women=pool.women[:10], men=pool.men[:10], families=pool.families[:10])
    person = _household(household, luck, few)[0]
    return replace(person, birth=person.birth.replace(month=1, day=1))


def _common(words: Sequence[str], luck: Random) -> str:
    """A word by Zipf's law: the first are the commonest."""
    return luck.choices(words, [1 / (rank + 5) ** ZIPF for rank in range(len(words))])[0]


def _phone(luck: Random) -> str:
    return f"0{luck.randrange(200, 999)} {luck.randrange(1_000_000, 9_999_999)}"


def _household(number: int, luck: Random, pool: Pool) -> list[Person]:
    """A single person, or a couple with up to four children, of whom some are twins."""
    family, line = _common(pool.families, luck), _phone(luck)
    place, before = _address(luck, pool), _address(luck, pool)

    def member(sex: str, birth: date, name: str, *, given: str = "") -> Person:
        """One of the household."""
        names = pool.women if sex == "F" else pool.men
        married = sex == "F" and birth.year < 1998 and luck.random() < 0.5
        return Person(
            given=given or _common(names, luck),
            middle=luck.choice(names),
            family=name,
            before=_common(pool.families, luck) if married else "",
            birth=birth,
            sex=sex,
            street=place[0],
            postcode=place[1],
            moved_from=before,
            phone=line if birth.year > 2005 or luck.random() < 0.4 else _phone(luck),
            numbers=(
                (NATIONAL, str(luck.randrange(10**8, 10**9))),
                (INSURANCE, f"K{luck.randrange(10**9)}"),
            ),
            household=number,
        )

    first = member(luck.choice("FM"), _day(luck, 1930, 2000), family)
    if luck.random() < 0.35:
        return [first]
    other = "M" if first.sex == "F" else "F"
    second_name = family if luck.random() < 0.7 else _common(pool.families, luck)
    second = member(other, _day(luck, first.birth.year - 5, first.birth.year + 5), second_name)
    members = [first, second]
    father = first if first.sex == "M" else second
    for _ in range(luck.choice((0, 1, 1, 2, 2, 3))):  # children
        sex = luck.choice("FM")
        birth = _day(luck, min(first.birth.year + 20, 2020), min(first.birth.year + 40, 2024))
        namesake = father.given if sex == "M" and luck.random() < 0.05 else ""
        members.append(member(sex, birth, family, given=namesake))
        if luck.random() < 0.03:
            twin = sex if luck.random() < 0.67 else luck.choice("FM")
            alike = typo(members[-1].given, luck) if twin == sex and luck.random() < 0.1 else ""
            members.append(member(twin, birth, family, given=alike))
    return _named_apart(members, luck, pool)


def _named_apart(members: list[Person], luck: Random, pool: Pool) -> list[Person]:
    """Children of one household have different names, though some are alike; father and son may have one."""
    apart: list[Person] = []
    for person in members:
        while any(one.given == person.given and one.birth.year > person.birth.year - 15 for one in apart):
            person = replace(person, given=_common(pool.women if person.sex == "F" else pool.men, luck))
        apart.append(person)
    return apart


def _address(luck: Random, pool: Pool) -> tuple[str, str]:
    return f"{luck.randrange(1, 300)} {luck.choice(pool.streets)}", luck.choice(pool.postcodes)


def _day(luck: Random, first: int, last: int) -> date:
    return date(first, 1, 1) + timedelta(days=luck.randrange(365 * max(last - first, 1)))


def _written(person: Person, kin: Sequence[Person], place: int, luck: Random) -> Identity:
    """The person as a system means to write them down: perhaps long ago, before a move or a marriage."""
    old = luck.random() < 0.12
    unmarried = bool(person.before) and luck.random() < 0.10
    street, postcode = person.moved_from if old else (person.street, person.postcode)
    told = []
    for authority, number in person.numbers:
        if authority in NUMBERS[place] and luck.random() < TOLD:
            relative = kin and luck.random() < 0.002
            taken = dict(luck.choice(kin).numbers)[authority] if relative else number
            told.append(f"{authority}|{taken}")
    has_phone = place != 3 and luck.random() < 0.8
    given = f"{person.given} {person.middle}" if luck.random() < 0.2 else person.given
    if person.birth >= BABIES and luck.random() < 0.15:
        given = "Baby Boy" if person.sex == "M" else "Baby Girl"
    return Identity(
        system="",
        subject=0,
        id="",
        given=given,
        family=person.before if unmarried else person.family,
        former="" if unmarried or luck.random() < 0.5 else person.before,
        birth_date=person.birth,
        sex=person.sex,
        street=street,
        postcode=postcode,
        phone=(_phone(luck) if luck.random() < 0.12 else person.phone) if has_phone else "",
        identifiers=tuple(told),
    )


def _mistaken(one: Identity, times: float, luck: Random, pool: Pool) -> Identity:
    """The same with mistakes of whoever typed it."""

    def happens(chance: float) -> bool:
        """Whether a mistake is made."""
        return luck.random() < chance * times

    given, family, birth = one.given, one.family, one.birth_date
    if happens(0.03):
        given = typo(given, luck)
    elif happens(0.01):
        given = given[: luck.randrange(1, 4)]
    elif happens(0.005):
        given = luck.choice(pool.women + pool.men)
    elif happens(0.003):
        given = ""
    family = typo(family, luck) if happens(0.03) else family
    if happens(0.008):
        given, family = family, given
    if birth is not None:
        birth = _mistaken_day(birth, happens, luck)
    other = "M" if one.sex == "F" else "F"
    sex = "" if happens(0.02) else other if happens(0.003) else one.sex
    street = "" if happens(0.03) else typo(one.street, luck) if happens(0.05) else one.street
    numbers = tuple(
        typo(text, luck, fixed=text.index("|") + 1) if happens(0.007) else text for text in one.identifiers
    )
    return replace(
        one,
        given=given.upper() if happens(0.05) else given,
        family=family.upper() if happens(0.05) else family,
        birth_date=birth,
        sex=sex,
        street=street,
        postcode="" if not street and luck.random() < 0.5 else one.postcode,
        phone=typo(one.phone, luck) if one.phone and happens(0.02) else one.phone,
        identifiers=numbers,
    )


def _mistaken_day(birth: date, happens: object, luck: Random) -> date | None:
    assert callable(happens)
    if happens(0.008):
        return None
    if happens(0.008) and birth.day <= 12:
        return birth.replace(month=birth.day, day=birth.month)
    if happens(0.01):
        return birth.replace(year=birth.year + luck.choice((-10, -1, 1, 10)), day=min(birth.day, 28))
    if happens(0.008):
        return birth + timedelta(days=luck.choice((-10, -1, 1, 10)))
    return birth.replace(month=1, day=1) if happens(0.002) else birth


def typo(text: str, luck: Random, *, fixed: int = 0) -> str:
    """The text with one letter left out, doubled, changed, or two turned round, after the first ``fixed`` ones."""
    if len(text) < fixed + 2:
        return text
    place = luck.randrange(fixed, len(text) - 1)
    kind = luck.randrange(4)
    if kind == 0:
        return text[:place] + text[place + 1 :]
    if kind == 1:
        return text[: place + 1] + text[place:]
    if kind == 2:
        letter = luck.choice("0123456789" if text[place].isdigit() else "aeinrst")
        return text[:place] + letter + text[place + 1 :]
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
