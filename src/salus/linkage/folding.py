"""Names, places and numbers as they are compared: without case, accents, punctuation and other habits of writing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import polars as pl

LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ł": "l", "đ": "d", "'": "", "’": ""}
)
"""How letters are written by those who do not have them; ß is two letters by Unicode."""
NO_WORD = re.compile(r"[^a-z0-9]+")
NO_NAMES = frozenset(
    ("baby", "boy", "girl", "newborn", "infant", "twin", "unknown", "unnamed", "noname", "nn", "test")
)
"""What is written where a child has no name yet, or nobody knows it: twins would be the same by it."""
PHONE_DIGITS = 9
"""The last digits of a phone number: prefixes of countries and trunks are written or not."""
STREET_WORDS = {"street": "st", "strasse": "str", "avenue": "ave", "road": "rd", "apartment": "apt"}


def fold_text(text: str) -> str:
    """A text in small plain letters and single spaces.

    >>> fold_text("  Müller-Weiß "), fold_text("MUELLER WEISS"), fold_text("O'Brien"), fold_text("José")
    ('mueller weiss', 'mueller weiss', 'obrien', 'jose')
    """
    plain = unicodedata.normalize("NFC", text).casefold().translate(LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return NO_WORD.sub(" ", plain).strip()


def fold_given(text: str) -> str:
    """The first of the given names, for the others are often left out; empty for what stands in place of a name.

    >>> fold_given("Anna Maria"), fold_given("Baby Girl")
    ('anna', '')
    """
    first = fold_text(text).partition(" ")[0]
    return "" if first in NO_NAMES else first


def fold_family(text: str) -> str:
    """A family name in one word, for some write "de la Cruz" and others "Delacruz".

    >>> fold_family("de la Cruz")
    'delacruz'
    """
    return fold_text(text).replace(" ", "")


def fold_street(text: str) -> str:
    """A street line with its usual words cut short.

    >>> fold_street("12 High Street, Apartment 4")
    '12 high st apt 4'
    """
    return " ".join(STREET_WORDS.get(word, word) for word in fold_text(text).split(" "))


def fold_phone(text: str) -> str:
    """The last digits of a number; empty where there are fewer than seven.

    >>> fold_phone("+49 (0)30 1234-5678"), fold_phone("n/a")
    ('012345678', '')
    """
    digits = re.sub(r"\D", "", text)
    return digits[-PHONE_DIGITS:] if len(digits) >= 7 else ""


def fold_identifier(text: str) -> str:
    """An identifier without the signs that group its digits.

    >>> fold_identifier("http://hl7.org/fhir/sid/us-ssn|999-34-9427")
    'http://hl7.org/fhir/sid/us-ssn|999349427'
    """
    authority, _, number = text.rpartition("|")
    return f"{authority.strip()}|{re.sub(r'[^0-9A-Za-z]', '', number).upper()}"


FOLDS: dict[str, Callable[[str], str]] = {
    "given": fold_given,
    "family": fold_family,
    "former": fold_family,
    "street": fold_street,
    "postcode": lambda text: fold_text(text).replace(" ", ""),
    "phone": fold_phone,
}


def fold_identities(people: pl.DataFrame) -> pl.DataFrame:
    """Identities as they are compared; what is empty is null. ``authorities``: who gave the identifiers."""
    folded = people.with_columns(
        _each_once(people[name], fold).alias(name) for name, fold in FOLDS.items()
    ).with_columns(
        pl.col("birth_date").dt.strftime("%Y%m%d").alias("birth"),
        pl.when(pl.col("sex").is_in(["M", "F", "O"])).then(pl.col("sex")).alias("sex"),
        pl.Series(
            "identifiers", [_identifiers(one) for one in people["identifiers"]], dtype=pl.List(pl.String)
        ),
    )
    authorities = pl.col("identifiers").list.eval(pl.element().str.extract(r"^(.*)\|", 1)).list.unique()
    return folded.with_columns(authorities.list.sort().alias("authorities")).drop("birth_date", "id")


def _each_once(column: pl.Series, fold: Callable[[str], str]) -> pl.Series:
    met = column.drop_nulls().unique()
    folded = pl.Series([fold(one) or None for one in met], dtype=pl.String)
    return column.replace_strict(met, folded, default=None, return_dtype=pl.String)


def _identifiers(written: pl.Series | None) -> list[str]:
    found = {fold_identifier(one) for one in ([] if written is None else written)}
    return sorted(one for one in found if not one.endswith("|"))
