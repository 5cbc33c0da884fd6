"""Compare identities of different systems with Splink: a weight for each pair, and how far each field agrees.

The weight is that of Fellegi and Sunter (1969) in bits: log2 of how much more likely the agreement is for one person
than for two, added over fields, and the odds before looking. How likely an agreement is, is a table here and not learnt
from the data, so that a small hospital gets the same as a large one and a weight can be worked out by hand; only how
common a name is comes from the data (Splink's term frequencies).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.blocking_rule_library import CustomRule
from splink.internals.blocking_rule_creator import BlockingRuleCreator

from salus.at_rest.files import configured_ring
from salus.linkage.folding import fold_identities


class Agreement(StrEnum):
    """How far two records agree in one field."""

    SAME = "same"
    SWAPPED = "swapped"
    FORMER = "former"
    SIMILAR = "similar"
    PART = "in part"
    DIFFERENT = "different"
    NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class Level:
    """One way to agree: when it holds, and how often it does for one person and for two.

    ``common``: the column whose commonness counts in place of ``two``.
    """

    agreement: Agreement
    when: str
    one: float
    two: float
    common: str = ""


A = Agreement
TYPO = "damerau_levenshtein({0}_l, {0}_r) <= CASE WHEN least(len({0}_l), len({0}_r)) >= 8 THEN 2 ELSE 1 END"
BEGINS = "(starts_with(given_l, given_r) OR starts_with(given_r, given_l))"
TURNED = (
    "given_l <> given_r AND (given_l = family_r AND starts_with(family_l, given_r)"
    " OR given_r = family_l AND starts_with(family_r, given_l))"
)
"""Given name for family name; then a second given name stands behind the first."""
DAY_FOR_MONTH = "birth_l = substr(birth_r, 1, 4) || substr(birth_r, 7, 2) || substr(birth_r, 5, 2)"
YEARS = "abs(substr(birth_l, 1, 4)::INT - substr(birth_r, 1, 4)::INT) <= 10"
DAYS = "abs(date_diff('day', strptime(birth_l, '%Y%m%d'), strptime(birth_r, '%Y%m%d'))) <= 10"
NO_DAY = (
    "substr(birth_l, 1, 4) = substr(birth_r, 1, 4) AND '0101' IN (substr(birth_l, 5), substr(birth_r, 5))"
)
TWO_PARTS = (
    f"{DAYS} OR {NO_DAY} OR substr(birth_l, 1, 6) = substr(birth_r, 1, 6)"
    " OR substr(birth_l, 1, 4) = substr(birth_r, 1, 4) AND substr(birth_l, 7) = substr(birth_r, 7)"
    f" OR substr(birth_l, 5) = substr(birth_r, 5) AND {YEARS}"
)
"""Two of year, month and day are the same, or it is days apart, or 1 January stands for a day that nobody knows.

Years further apart are those of father and son.
"""
NUMBERS = "list_has_any(identifiers_l, identifiers_r)"
NEAR_NUMBERS = (
    "len(list_filter(identifiers_l, lambda x: len(list_filter(identifiers_r, lambda y:"
    " regexp_extract(x, '^(.*)[|]', 1) = regexp_extract(y, '^(.*)[|]', 1)"
    " AND damerau_levenshtein(x, y) = 1)) > 0)) > 0"
)
"""Two numbers of one authority are one typing error apart: a digit wrong, too many or too few, or two turned round."""
FIELDS: dict[str, tuple[Level, ...]] = {
    "given": (
        Level(A.SWAPPED, TURNED, 0.01, 0.00001),
        Level(A.SAME, "given_l = given_r", 0.88, 0.005, "given"),
        Level(A.SIMILAR, f"least(len(given_l), len(given_r)) >= 3 AND {TYPO.format('given')}", 0.06, 0.008),
        Level(A.PART, BEGINS, 0.02, 0.01),
        Level(A.DIFFERENT, "ELSE", 0.03, 0.97699),
    ),
    "family": (
        Level(A.SWAPPED, TURNED, 0.01, 0.01),
        Level(A.SAME, "family_l = family_r", 0.88, 0.002, "family"),
        Level(A.FORMER, "family_l = former_r OR former_l = family_r", 0.01, 0.0005),
        Level(A.SIMILAR, TYPO.format("family"), 0.06, 0.003),
        Level(A.DIFFERENT, "ELSE", 0.04, 0.9845),
    ),
    "birth_date": (
        Level(A.SAME, "birth_l = birth_r", 0.935, 0.00004),
        Level(A.SWAPPED, DAY_FOR_MONTH, 0.02, 0.00004),
        Level(A.SIMILAR, "damerau_levenshtein(birth_l, birth_r) = 1", 0.025, 0.0012),
        Level(A.PART, TWO_PARTS, 0.008, 0.0035),
        Level(A.DIFFERENT, "ELSE", 0.012, 0.99522),
    ),
    "sex": (
        Level(A.SAME, "sex_l = sex_r", 0.99, 0.5),
        Level(A.DIFFERENT, "ELSE", 0.01, 0.5),
    ),
    "address": (
        Level(A.SAME, "postcode_l = postcode_r AND street_l = street_r", 0.65, 0.0005),
        Level(A.SIMILAR, f"postcode_l = postcode_r AND {TYPO.format('street')}", 0.08, 0.0005),
        Level(A.PART, "postcode_l = postcode_r OR street_l = street_r", 0.07, 0.01),
        Level(A.DIFFERENT, "ELSE", 0.20, 0.989),
    ),
    "phone": (
        Level(A.SAME, "phone_l = phone_r", 0.60, 0.0005),
        Level(A.SIMILAR, "damerau_levenshtein(phone_l, phone_r) = 1", 0.05, 0.0005),
        Level(A.DIFFERENT, "ELSE", 0.35, 0.999),
    ),
    "identifiers": (
        Level(A.SAME, NUMBERS, 0.97, 0.000001),
        Level(A.SIMILAR, NEAR_NUMBERS, 0.015, 0.0005),
        Level(A.DIFFERENT, "ELSE", 0.015, 0.999499),
    ),
}
"""The fields, and their levels from the best down. Families share addresses and phones: these count for less."""
SAID = {
    "birth_date": "birth_l IS NULL OR birth_r IS NULL",
    "address": "coalesce(postcode_l, street_l) IS NULL OR coalesce(postcode_r, street_r) IS NULL",
    "identifiers": "NOT coalesce(list_has_any(authorities_l, authorities_r), false)",
}
"""When a field says nothing of a pair, where that is not: one of the two is empty."""
PAIR_COLUMNS: dict[str, pl.DataType] = {
    "system_l": pl.String(),
    "subject_l": pl.Int64(),
    "system_r": pl.String(),
    "subject_r": pl.Int64(),
    "weight": pl.Float64(),
    **{name: pl.String() for name in FIELDS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a comparison may take: processors, memory, and a private folder for what does not fit (None: nothing does).

    What is compared is patients' own: DuckDB, left alone, would put it into a folder of wherever the command was typed.
    """

    threads: int = 1
    memory: str = "2GB"
    scratch: Path | None = None

    @property
    def settings(self) -> dict[str, str | bool | int | float | list[str]]:
        """For DuckDB, which fetches nothing from anywhere."""
        return {
            "threads": self.threads,
            "memory_limit": self.memory,
            "temp_directory": "" if configured_ring() else str(self.scratch or ""),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }


ROOM = Room()


def compare_identities(people: pl.DataFrame, *, at_least: float, room: Room = ROOM) -> pl.DataFrame:
    """All pairs of two systems that agree in something and weigh at least so many bits, in order of their names.

    Within one system nobody is compared: whether it holds one person twice is for that system to say.
    """
    folded = fold_identities(people).with_row_index("unique_id")
    systems = folded.partition_by("system", maintain_order=True)
    if len(systems) < 2:
        return pl.DataFrame(schema=PAIR_COLUMNS)
    with duckdb.connect(config=room.settings) as db:
        api = DuckDBAPI(db)
        tables = [
            api.register(frame.to_arrow(), dataset_display_name=f"s{number}")
            for number, frame in enumerate(systems)
        ]
        linker = Linker(tables, _settings([frame.height for frame in systems]), log_level=None)
        found = linker.inference.predict(threshold_match_weight=at_least, warning_mode="never")
        columns = ", ".join(f"gamma_{name}" for name in FIELDS)
        pairs = pl.DataFrame(
            db.sql(
                f"SELECT unique_id_l, unique_id_r, match_weight, {columns} FROM {found.physical_name}"
            ).to_arrow_table()
        )
    return _named(pairs, folded)


def odds_before(sizes: list[int]) -> float:
    """How likely two records of different systems are one person, before looking: as if half were in both.

    >>> odds_before([100, 200])  # 50 people in 20,000 pairs
    0.0025
    """
    pairs = sum(a * b for i, a in enumerate(sizes) for b in sizes[i + 1 :])
    same = sum(min(a, b) / 2 for i, a in enumerate(sizes) for b in sizes[i + 1 :])
    return same / pairs


def weight_of(agreements: dict[str, Agreement], sizes: list[int]) -> float:
    """The weight of a pair whose names are of average commonness, for people who want to see how it is made."""
    chance = odds_before(sizes)
    weight = log2(chance / (1 - chance))
    for name, agreement in agreements.items():
        for level in FIELDS[name]:
            if level.agreement == agreement:
                weight += log2(level.one / level.two)
    return weight


def _settings(sizes: list[int]) -> SettingsCreator:
    return SettingsCreator(
        link_type="link_only",
        comparisons=[_comparison(name, levels) for name, levels in FIELDS.items()],
        blocking_rules_to_generate_predictions=_blocks(),
        probability_two_random_records_match=odds_before(sizes),
        retain_matching_columns=True,
    )


def _comparison(name: str, levels: tuple[Level, ...]) -> dict[str, object]:
    said = SAID.get(name, f"{name}_l IS NULL OR {name}_r IS NULL")
    told: list[dict[str, object]] = [{"sql_condition": said, "is_null_level": True}]
    for level in levels:
        told.append(
            {
                "sql_condition": level.when,
                "label_for_charts": level.agreement.value,
                "m_probability": level.one,
                "u_probability": level.two,
                **({"tf_adjustment_column": level.common} if level.common else {}),
            }
        )
    return {"output_column_name": name, "comparison_levels": told}


def _blocks() -> list[BlockingRuleCreator | dict[str, Any]]:
    """What two records must have in common to be compared at all: one of these."""
    return [
        block_on("identifiers", arrays_to_explode=["identifiers"]),
        block_on("phone"),
        block_on("birth", "substr(given, 1, 2)"),
        block_on("birth", "substr(family, 1, 2)"),
        block_on("birth", "postcode"),
        block_on("given", "family", "substr(birth, 1, 4)"),
        block_on("given", "family", "substr(birth, 5, 4)"),
        block_on("given", "family", "postcode"),
        block_on("postcode", "substr(given, 1, 2)", "substr(family, 1, 2)"),
        block_on("postcode", "street", "substr(given, 1, 2)"),
        CustomRule("l.birth = r.birth AND l.given = r.family"),
        CustomRule("l.birth = r.birth AND l.family = r.given"),
    ]


def _named(pairs: pl.DataFrame, folded: pl.DataFrame) -> pl.DataFrame:
    """The pairs by system and subject, each once, the first by name to the left; levels in words."""
    ids = ("unique_id_l", "unique_id_r")
    left, right = pairs.select(l=pl.min_horizontal(ids), r=pl.max_horizontal(ids))
    named = pairs.select(
        folded["system"].gather(left).alias("system_l"),
        folded["subject"].gather(left).alias("subject_l"),
        folded["system"].gather(right).alias("system_r"),
        folded["subject"].gather(right).alias("subject_r"),
        pl.col("match_weight").round(6).alias("weight"),
        *(_words(name, levels) for name, levels in FIELDS.items()),
    )
    return named.unique().sort("system_l", "subject_l", "system_r", "subject_r")


def _words(name: str, levels: tuple[Level, ...]) -> pl.Expr:
    words = {len(levels) - 1 - place: level.agreement.value for place, level in enumerate(levels)}
    return (
        pl.col(f"gamma_{name}")
        .replace_strict({-1: A.NOT_SAID.value, **words}, return_dtype=pl.String)
        .alias(name)
    )
