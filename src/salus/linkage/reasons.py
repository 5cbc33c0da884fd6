"""A person's reason for a decision: in the ledger for good, and so without any value of the patient."""

from __future__ import annotations

import re
from collections.abc import Iterable

from salus.errors import ReasonTells
from salus.linkage.folding import fold_text
from salus.linkage.identity import Identity

SHORTEST = 3
"""Names of fewer letters are words of every sentence."""


def check_reason(reason: str, identities: Iterable[Identity]) -> str:
    """The reason without blanks around it. Raises ReasonTells (SAL-165) where it is empty or names a value."""
    said = reason.strip()
    if not said:
        raise ReasonTells("a decision needs a reason", where="--reason", fix="say why, in a few words")
    words, digits = set(fold_text(said).split()), re.sub(r"\D", "", said)
    for one in identities:
        if words & _words(one) or any(number in digits for number in _numbers(one)):
            raise ReasonTells(
                "the reason holds a value of the patient, and stays in the ledger for good",
                where="--reason",
                fix="name the field instead: 'the old address is that of the mother'",
            )
    return said


def _words(one: Identity) -> set[str]:
    texts = (one.given, one.family, one.former, one.street, one.postcode, one.id)
    return {word for text in texts for word in fold_text(text).split() if len(word) >= SHORTEST}


def _numbers(one: Identity) -> set[str]:
    numbers = {re.sub(r"\D", "", text) for text in (one.phone, one.id, *one.identifiers)}
    if one.birth_date is not None:
        year, month, day = one.birth_date.timetuple()[:3]
        numbers |= {f"{day}{month}{year}", f"{month}{day}{year}", f"{year}{month}{day}"}
        numbers |= {one.birth_date.strftime(form) for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%d%m%y")}
    return {number for number in numbers if len(number) >= 4}
