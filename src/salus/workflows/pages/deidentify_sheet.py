"""The page of a de-identification: what passed of every field, what did not, and a few records for eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from salus.deidentify.field_books import Fate
from salus.workflows.pages.sheet import Section, Sheet, Table
from salus.workflows.pages.words import count

LONGEST = 1200


def deidentify_sheet(
    books: Mapping[str, Any], sample: Mapping[str, Sequence[str]], *, made: str, digest: str
) -> Sheet:
    """The books as a page; ``sample``: records as they were written, by kind."""
    policy, records = books["policy"], books["records"]
    read, written = (sum(row[name] for row in records.values()) for name in ("read", "written"))
    return Sheet(
        title=f"De-identified by {policy['title']}",
        lead=f"{count(read)} records read, {count(written)} written. What a policy does not name stays out.",
        made=made,
        digest=digest,
        seed=None,
        sections=(
            Section(
                name="policy",
                heading="What was asked, and what it does not promise",
                words=(
                    f"{policy['name']} {policy['version']}, {policy['basis']}.",
                    policy["does_not_promise"],
                ),
                tables=(_about(books),),
            ),
            *_risk(books["risk"]),
            Section(
                name="records", heading="Records", tables=(_records(records), _rejected(books["rejected"]))
            ),
            Section(name="fields", heading="Fields", tables=(_fields(books["fields"]),)),
            Section(
                name="sample",
                heading="A few records as they were written",
                words=("Read them with the eyes of somebody who knows the patients.",),
                tables=(_sample(sample),),
                patients=True,
            ),
        ),
    )


def _about(books: Mapping[str, Any]) -> Table:
    rows = (
        ("records as", books["records_as"]),
        ("digest of the policy", books["policy"]["digest"]),
        ("name of the key", books["key"]),
        ("free text", books["free_text"]),
        ("ages as of the year", str(books["ages_as_of"])),
        ("version of Salus", books["salus"]),
    )
    return Table(name="t-about", caption="This run", heads=("what", "is"), rows=rows, words_first=2)


def _risk(told: Mapping[str, Any] | None) -> tuple[Section, ...]:
    if told is None:
        return ()
    rows = (
        ("patients", count(told["patients"])),
        ("smallest group of patients alike: asked", count(told["k_asked"])),
        ("smallest group of patients alike: reached", count(told["smallest_group"])),
        ("the same in the source", count(told["smallest_group_before"])),
        ("patients whose quasi-identifiers were taken out", count(told["suppressed_patients"])),
        ("highest risk of being recognised (prosecutor)", f"{told['prosecutor_highest']:.3f}"),
        ("average risk", f"{told['prosecutor_average']:.4f}"),
        (f"patients with a risk above {told['threshold']:g}", f"{told['prosecutor_above_threshold']:.1%}"),
        *((f"information lost: {name}", f"{lost:.1%}") for name, lost in told["information_lost"].items()),
    )
    named = ", ".join(told["quasi_identifiers"])
    words = (
        f"Somebody who knows a patient's {named}, and that the patient is in here: how likely do they find them?",
    )
    table = Table(
        name="t-risk", caption="Risk by the stated quasi-identifiers", heads=("what", "is"), rows=rows
    )
    return (Section(name="risk", heading="How likely somebody is recognised", words=words, tables=(table,)),)


def _records(records: Mapping[str, Mapping[str, int]]) -> Table:
    heads = ("read", "written", "left_out", "rejected")
    return Table(
        name="t-records",
        caption="Read = written + left out by the policy + rejected",
        heads=("kind", *(head.replace("_", " ") for head in heads)),
        rows=tuple((kind, *(count(row[head]) for head in heads)) for kind, row in records.items()),
    )


def _rejected(rows: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        name="t-rejected",
        caption="Why records were rejected",
        heads=("kind", "reason", "records"),
        rows=tuple((row["kind"], row["reason"], count(row["records"])) for row in rows),
        words_first=2,
        empty="none was",
    )


def _fields(fields: Mapping[str, Mapping[str, int]]) -> Table:
    return Table(
        name="t-fields",
        caption="What became of the values of each field",
        heads=("field", *(fate.value for fate in Fate)),
        rows=tuple((name, *(count(row.get(fate.value, 0)) for fate in Fate)) for name, row in fields.items()),
    )


def _sample(sample: Mapping[str, Sequence[str]]) -> Table:
    rows = [(kind, _cut(text)) for kind, texts in sorted(sample.items()) for text in texts]
    return Table(name="t-sample", caption="Sample", heads=("kind", "record"), rows=tuple(rows), words_first=2)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
