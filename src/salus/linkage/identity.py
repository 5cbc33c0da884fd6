"""What a system says of who a patient is: the one form in which names, dates and numbers are compared.

Identities are the most private thing Salus holds. They live in one file of a folder that the user names, for nobody
but its owner to read (:mod:`salus.linkage.vault`), and never in a timeline, a ledger, a log or an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import polars as pl

IDENTITY_COLUMNS: dict[str, pl.DataType] = {
    "system": pl.String(),
    "subject": pl.Int64(),
    "id": pl.String(),
    "given": pl.String(),
    "family": pl.String(),
    "former": pl.String(),
    "birth_date": pl.Date(),
    "sex": pl.String(),
    "street": pl.String(),
    "postcode": pl.String(),
    "phone": pl.String(),
    "identifiers": pl.List(pl.String()),
}
PRIVATE = ("id", "given", "family", "former", "birth_date", "street", "postcode", "phone", "identifiers")
"""What tells who somebody is; ``system`` and ``subject`` (the pseudonym of the system's timeline) do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One record of one system. An empty text or None: the system does not say.

    ``subject``: the patient's number in that system's timeline. ``id``: the system's own, for people to look up.
    ``former``: a family name of before. ``sex``: M, F or O. ``identifiers``: "authority|number" each.
    """

    system: str
    subject: int
    id: str
    given: str = ""
    family: str = ""
    former: str = ""
    birth_date: date | None = None
    sex: str = ""
    street: str = ""
    postcode: str = ""
    phone: str = ""
    identifiers: tuple[str, ...] = field(default=())


def identity_frame(people: Iterable[Identity]) -> pl.DataFrame:
    """The identities as a table, in order of system and subject: the order in which they came changes nothing."""
    rows = [
        [
            list(value) if isinstance(value, tuple) else value
            for value in map(one.__getattribute__, IDENTITY_COLUMNS)
        ]
        for one in people
    ]
    return pl.DataFrame(rows, schema=IDENTITY_COLUMNS, orient="row").sort("system", "subject")
