"""The books of a de-identification, and the facts that gates judge."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from salus import __version__
from salus.deidentify import risk
from salus.deidentify.field_books import Fate
from salus.deidentify.passing import Passing
from salus.deidentify.policy import RiskAsked
from salus.findings import Finding


def quasi_table(passing: Passing, asked: RiskAsked, *, before: bool = False) -> pl.DataFrame:
    """What passed (or what the source said) of each patient that others may know: a row a patient."""
    rows = passing.quasi_before if before else passing.quasi
    return pl.DataFrame(
        {name: [row.get(name) for row in rows.values()] for name in asked.quasi_identifiers},
        schema=dict.fromkeys(asked.quasi_identifiers, pl.String),
    )


def books_of(passing: Passing, *, form: str, free_text: str, made: datetime) -> dict[str, object]:
    """The books as they are stored: whose policy, which key, what became of records and of every field.

    ``free_text``: how free texts were looked through.
    """
    policy, tally, told = passing.policy, passing.tally, risk_told(passing)
    kinds = sorted({*tally.read, *tally.written, *tally.left_out, *(kind for kind, _ in tally.rejected)})
    return {
        "form": 1,
        "made": made.isoformat(),
        "salus": __version__,
        "policy": {
            name: getattr(policy, name)
            for name in ("name", "title", "version", "basis", "does_not_promise", "digest")
        },
        "key": passing.key.name,
        "free_text": free_text,
        "ages_as_of": passing.as_of_year,
        "records_as": form,
        "records": {
            kind: {
                "read": tally.read[kind],
                "written": tally.written[kind],
                "left_out": tally.left_out[kind],
                "rejected": sum(count for (of, _), count in tally.rejected.items() if of == kind),
            }
            for kind in kinds
            if tally.read[kind]
        },
        "rejected": [
            {"kind": kind, "reason": reason, "records": count}
            for (kind, reason), count in sorted(tally.rejected.items())
        ],
        "rejected_at": [
            {"file": file, "line": line, "reason": reason} for file, line, reason in tally.places
        ],
        "fields": passing.books.as_json(),
        "files": sorted(tally.files),
        "risk": told[0] if told else None,
    }


def risk_told(passing: Passing) -> tuple[dict[str, object], int] | None:
    """The risks by the stated quasi-identifiers, and the smallest group; None where no policy asks for them."""
    asked = passing.policy.risk
    if asked is None or not passing.quasi:
        return None
    table, named = quasi_table(passing, asked), asked.quasi_identifiers
    before = quasi_table(passing, asked, before=True)
    k, found = risk.smallest_group(table, named), risk.prosecutor(table, named, asked.threshold)
    told: dict[str, object] = {
        "quasi_identifiers": list(named),
        "patients": table.height,
        "k_asked": asked.k,
        "smallest_group": k,
        "smallest_group_before": risk.smallest_group(before, named),
        "suppressed_patients": len(passing.suppressed),
        "threshold": asked.threshold,
        "prosecutor_highest": found.highest,
        "prosecutor_average": found.average,
        "prosecutor_above_threshold": found.above,
        "information_lost": {name: risk.information_lost(before[name], table[name]) for name in named},
    }
    return told, k


def findings(passing: Passing, digests: dict[str, str], created: str) -> list[Finding]:
    """Facts for gates, without thresholds."""
    counts, tally = passing.books.counts, passing.tally
    removed = sum(count for (_, fate), count in counts.items() if fate is Fate.REMOVED)
    met, read = passing.books.met, tally.read.total()
    patients = len(passing.quasi) or passing.image_patients

    def finding(metric: str, value: float | None, method: str, reason: str = "") -> Finding:
        return Finding(
            metric=metric,
            population="all patients of the source",
            value=value,
            patients=patients,
            events=read,
            method=method,
            reason=reason,
            created=created,
            digests=digests,
        )

    found = [
        finding(
            "deidentify.fields_removed_share",
            removed / met if met else None,
            "values removed over values met",
        ),
        finding(
            "deidentify.records_rejected_share",
            tally.rejected.total() / read if read else None,
            "records rejected over records read",
        ),
    ]
    told, asked = risk_told(passing), passing.policy.risk
    if told and asked:
        method = "groups alike in " + ", ".join(asked.quasi_identifiers)
        found.append(finding("deidentify.smallest_group", float(told[1]), method))
        found.append(
            finding(
                "deidentify.prosecutor_risk", 1 / told[1] if told[1] else None, f"1 / smallest of {method}"
            )
        )
    return found
