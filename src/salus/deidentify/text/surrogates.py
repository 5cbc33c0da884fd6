"""Invented names, places and numbers for real ones: like in sex, origin and shape, made again by the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

from salus.deidentify.key import Key
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.identity import is_one_slip_apart, name_parts
from salus.deidentify.text.lists import Lists, lists, plain
from salus.deidentify.text.organisations import AMBIGUOUS, GENERIC, JOINING
from salus.deidentify.text.people import PARTICLES, SUFFIXES, TITLES
from salus.deidentify.text.spans import Kind, Span
from salus.deidentify.text.vocabulary import PROFESSIONS, STATES
from salus.deidentify.text.written_dates import MONTHS, WEEKDAYS, moved_date

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
KEPT_IN_ADDRESSES = re.compile(
    r"(?i:street|str?|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|plaza|pl|square|sq"
    r"|terrace|ter|trail|trl|parkway|pkwy|circle|cir"
    r"|highway|hwy|route|rte|way|alley|apt|apartment|suite|ste|unit|flat|po|p|o|box|psc|floor|fl|n|s|e|w|n"
    r"e|nw|se|sw|north|south|east|west|of|the|and|corner|de|la|del)"
)
STATE_CODES = (
    "AL", "AZ", "CO", "GA", "IA", "IN", "KS", "KY", "LA", "MD", "MI", "MN", "MO", "NC", "NE", "NJ", "OH",
    "OK", "OR", "PA", "SC", "TN", "TX", "UT", "VA", "WA", "WI",
)  # fmt: skip
SEXES = {"female": "f", "male": "m", "f": "f", "m": "m"}
FIRST_HIDDEN_AGE = 90
TOWN_ENDINGS = (
    "ton",
    "ville",
    "field",
    "burg",
    "ford",
    "wood",
    "dale",
    "port",
    "boro",
    "ham",
    "mont",
    "brook",
)
NEVER_ISSUED = "900"
"""No social security number begins so; with 00 after it no tax number does either."""


@dataclass(frozen=True, slots=True)
class Surrogates:
    """Makes surrogates for one patient; the same text of a kind always becomes the same surrogate."""

    key: Key
    patient: KnownPatient
    salt: str = field(repr=False)
    """The patient's number, or for a text of nobody known a pseudonym of the text itself."""

    def name(self, text: str) -> str:
        """Each name in a span replaced by one of like sex and origin; titles, particles and suffixes stay.

        A word that is the patient's own name with one slip becomes what the name itself becomes.
        """
        own = name_parts(self.patient)
        return WORD.sub(lambda found: _cased(found.group(), self._name_word(found.group(), own)), text)

    def _name_word(self, word: str, own: frozenset[str]) -> str:
        name = plain(word)
        if name in TITLES or name in PARTICLES or name in SUFFIXES or name in ("and", "s"):
            return word
        if len(name) == 1:
            return chr(ord("a") + self._draw("initial", name, 26, {ord(name[0]) - ord("a")}))
        slip = [part for part in own if len(name) > 5 and len(part) > 5 and is_one_slip_apart(name, part)]
        name = slip[0] if slip and name not in own else name
        known = lists()
        if known.is_given(name) and (known.is_frequent_given(name) or not known.is_frequent_family(name)):
            sex = known.given[name][0]
            told = SEXES.get(self.patient.sex.lower(), sex) if name in own else sex
            pool = given_pool(told if sex == "u" else sex, known.given[name][1])
        else:
            pool = family_pool(known.family.get(name, "--")[0])
        return self._pick("name", name, pool, own | {name})

    def place(self, text: str) -> str:
        """A town for a town, a state for a state; what follows a comma becomes something of its own kind."""
        return ", ".join(self._place(part) for part in re.split(r",\s*", text))

    def _place(self, text: str) -> str:
        if text.upper() == text and len(text) == 2 and text.isalpha():
            return self._pick("state", text, STATE_CODES, {text})
        name = plain(text).strip()
        if name in STATES:
            return _cased(text, self._pick("state name", name, state_pool(), {name}))
        return _cased(text, self._pick("place", name, place_pool(), {name} | name_parts(self.patient)))

    def address(self, text: str) -> str:
        """The same form of an address with other numbers and words."""
        own = name_parts(self.patient)

        def word(found: re.Match[str]) -> str:
            written = found.group()
            if written in STATE_CODES or (
                len(written) == 2 and written.isupper() and not KEPT_IN_ADDRESSES.fullmatch(written)
            ):
                return self._pick("state", written, STATE_CODES, {written})
            if KEPT_IN_ADDRESSES.fullmatch(written):
                return written
            name = plain(written)
            return _cased(written, self._pick("place", name, place_pool(), own | {name}))

        return self._digits("address", WORD.sub(word, text))

    def organisation(self, text: str) -> str:
        """The nouns of the institution stay, its own words become towns; one word at least changes."""
        words = WORD.findall(text)
        own = [
            w for w in words if len(w) > 1 and plain(w) not in GENERIC and plain(w) not in JOINING
        ] or words[:1]
        if not own:
            return self.number(text)
        hidden = name_parts(self.patient)
        for written in dict.fromkeys(own):
            new = _cased(
                written, self._pick("organisation", plain(written), place_pool(), hidden | {plain(written)})
            )
            text = re.sub(rf"(?<![^\W\d_]){re.escape(written)}(?![^\W\d_])", new, text)
        return self._digits("organisation", text)

    def number(self, text: str) -> str:
        """A number of the same shape: digits for digits, letters for letters, signs as they were."""
        signs = "".join(c for c in text if c.isalnum())
        made = iter(self._like(signs))
        return "".join(next(made) if c.isalnum() else c for c in text)

    def social_security(self, text: str) -> str:
        """A number that was never issued to anybody, of the same shape."""
        signs = "".join(c for c in text if c.isdigit())
        made = iter((NEVER_ISSUED + "00" + self._like(signs)[5:])[: len(signs)])
        return "".join(next(made) if c.isdigit() else c for c in text)

    def phone(self, text: str) -> str:
        """A number of the same shape; of ten digits or eleven one from the range kept for fiction (555-01xx)."""
        signs = "".join(c for c in text if c.isdigit())
        made = self._like(signs)
        if len(signs) in (10, 11):
            made = signs[:-10] + made[len(signs) - 10 : len(signs) - 7] + "55501" + made[-2:]
        drawn = iter(made)
        return "".join(next(drawn) if c.isdigit() else c for c in text)

    def email(self, text: str) -> str:
        """An address that cannot exist (RFC 2606)."""
        return f"{self._letters('email', text.lower())}@example.org"

    def url(self, text: str) -> str:
        """A web address that cannot exist."""
        start = text.partition("://")[0] + "://" if "://" in text else ""
        return f"{start}example.org/{self._letters('url', text.lower())}"

    def network(self, text: str) -> str:
        """An address of the ranges kept for documentation (RFC 5737, 3849, 7042)."""
        last = self._draw("network", text.lower(), 254) + 1
        if "." in text:
            return f"192.0.2.{last}"
        return (
            f"00:00:5e:00:53:{last:02x}"
            if len(re.findall(r"[0-9A-Fa-f]+", text)) == 6
            else f"2001:db8::{last:x}"
        )

    def profession(self, text: str) -> str:
        """Another profession."""
        pool = profession_pool()
        made = self._pick("profession", plain(text), pool, set(plain(text).split()))
        return made.upper() if text.isupper() else made.title() if text[:1].isupper() else made

    def _pick(self, kind: str, text: str, pool: Sequence[str], never: set[str] | frozenset[str]) -> str:
        start = self._draw(kind, text, len(pool))
        for step in range(len(pool)):
            chosen = pool[(start + step) % len(pool)]
            if plain(chosen) not in never:
                return chosen
        return "x" * max(len(text), 2)

    def _draw(self, kind: str, text: str, below: int, never: set[int] | None = None) -> int:
        drawn = self.key.number(f"surrogate {kind}", f"{self.salt}|{text}") % below
        return (drawn + 1) % below if never and drawn in never else drawn

    def _letters(self, kind: str, text: str) -> str:
        return self.key.pseudonym(f"surrogate {kind}", f"{self.salt}|{text}")[:10]

    def _digits(self, kind: str, text: str) -> str:
        return re.sub(r"\d+", lambda found: self._like(found.group(), kind), text)

    def _like(self, signs: str, kind: str = "number") -> str:
        """Digits and letters of the same shape, not all the same as before."""
        for attempt in range(8):
            drawn = self.key.digest(f"surrogate {kind} {attempt}", f"{self.salt}|{signs.lower()}")
            while len(drawn) < len(signs):
                drawn += self.key.digest(f"surrogate {kind} more", drawn.hex())
            made = "".join(
                _sign_like(c, b, first=k == 0) for k, (c, b) in enumerate(zip(signs, drawn, strict=False))
            )
            if made != signs:
                return made
        return "0" * len(signs)


def _sign_like(sign: str, byte: int, *, first: bool) -> str:
    if sign.isdigit():
        return str(byte % 9 + 1) if first and sign != "0" else str(byte % 10) if not first else "0"
    letter = chr(ord("a") + byte % 26)
    return letter.upper() if sign.isupper() else letter


def date_surrogate(text: str, span: Span, shift: timedelta) -> str | None:
    """The date moved, in the form in which it is written; a weekday or month alone moves as one of 2001 would."""
    if span.rule == "holiday":
        return "a holiday"
    if span.rule == "weekday":
        moved = WEEKDAYS[(WEEKDAYS.index(text.lower()) + shift.days) % 7]
        return _cased(text, moved)
    if span.rule == "month":
        middle = date(2001, MONTHS.index(text.lower()) + 1, 15) + shift
        return _cased(text, MONTHS[middle.month - 1])
    if span.rule == "day and month":
        moved_whole = moved_date(f"{text}{text[-3:-2] if not text[-3:-2].isdigit() else '/'}2001", shift)
        return moved_whole[:-5] if moved_whole else None
    return moved_date(text, shift)


def age_surrogate(text: str) -> str:
    """Ages under 90 as they are; from 90 on only that (45 CFR 164.514(b)(2)(i)(C))."""
    found = re.search(r"\d{1,3}", text)
    if (
        found
        and int(found.group()) >= FIRST_HIDDEN_AGE
        and not re.search(r"mo|week|wk|day", text, re.IGNORECASE)
    ):
        return text[: found.start()] + "90+" + text[found.end() :]
    return re.sub(r"(?i)ninet(?:y|ies)(?:[- ]\w+?(?=[- ]|$))?", "90+", text)


@cache
def given_pool(sex: str, origin: str) -> tuple[str, ...]:
    """Frequent given names of a sex and an origin that are no words; of any origin where there are few."""
    known = lists()
    names = tuple(n for n, v in known.given.items() if v[-1] == "2" and v[0] in (sex, "u") and _fit(n, known))
    alike = tuple(n for n in names if known.given[n][1] == origin)
    return alike if origin != "-" and len(alike) > 20 else names


@cache
def family_pool(origin: str) -> tuple[str, ...]:
    """Frequent family names of an origin that are no words; of any origin where there are few."""
    known = lists()
    names = tuple(n for n, v in known.family.items() if v[-1] == "2" and _fit(n, known))
    alike = tuple(n for n in names if known.family[n][0] == origin)
    return alike if origin != "-" and len(alike) > 20 else names


def _fit(name: str, known: Lists) -> bool:
    return len(name) > 3 and not known.is_word(name)


@cache
def place_pool() -> tuple[str, ...]:
    """Towns of one word that is no other."""
    known = lists()
    return tuple(
        sorted(
            p
            for p in known.places
            if p.isalpha()
            and p.isascii()
            and p.endswith(TOWN_ENDINGS)
            and not known.is_word(p)
            and p not in STATES
        )
    )


@cache
def state_pool() -> tuple[str, ...]:
    """States' names of one word."""
    return tuple(sorted(s for s in STATES if s.isalpha() and len(s) > 5))


@cache
def profession_pool() -> tuple[str, ...]:
    """Professions that are called by one clear word."""
    return tuple(sorted(PROFESSIONS - AMBIGUOUS))


def _cased(written: str, new: str) -> str:
    """The new word in the old one's letters: capitals, small, or a capital first."""
    if len(written) > 1 and written.isupper():
        return new.upper()
    return new.title() if written[:1].isupper() else new


MAKERS: dict[Kind, Callable[[Surrogates, str], str]] = {
    Kind.NAME: Surrogates.name,
    Kind.PHONE: Surrogates.phone,
    Kind.EMAIL: Surrogates.email,
    Kind.URL: Surrogates.url,
    Kind.NETWORK: Surrogates.network,
    Kind.NUMBER: Surrogates.number,
    Kind.ADDRESS: Surrogates.address,
    Kind.PLACE: Surrogates.place,
    Kind.ORGANISATION: Surrogates.organisation,
    Kind.PROFESSION: Surrogates.profession,
}
"""Dates and ages are not here: they hang on the patient's shift and on the law."""
