"""Sentences whose every number says where it comes from, and the way back from such a place to the number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from salus.findings import Bundle, Finding


class Place(StrEnum):
    """Where a number can come from."""

    FINDING = "finding"  # one finding of the bundle of evidence
    TABLE = "table"  # one cell of a table of the bundle
    GATE = "gate"  # the judgement of the protocol
    RECORD = "record"  # rows of the timeline
    PROPOSAL = "proposal"  # what was drawn: sampled patients or futures
    DOCUMENT = "document"  # a file of the use case's folder


Number = float | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where something stands: in what, of which SHA-256, at which place in it."""

    kind: Place
    digest: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number (or a phrase holding some) as shown, how it was written, and where it comes from."""

    shown: str
    form: str
    source: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What people read. Every digit of ``text`` belongs to one of ``figures``."""

    text: str
    figures: tuple[Figure, ...] = ()


def written(value: Number, form: str) -> str:
    """Write a number in a form of Python's format language; a text stays as it is.

    >>> written(0.32541, ".1%"), written(12, ","), written("as it is", "")
    ('32.5%', '12', 'as it is')
    """
    return value if isinstance(value, str) else format(value, form)


def figure(value: Number, source: Reference, form: str = "") -> Figure:
    """A figure that shows ``value``."""
    return Figure(shown=written(value, form), form=form, source=source)


def sentence(text: str, *figures: Figure) -> Sentence:
    """Put figures where ``text`` has ``{}``.

    >>> source = Reference(kind=Place.PROPOSAL, digest="", at="made")
    >>> sentence("{} patients were drawn", figure(12, source)).text
    '12 patients were drawn'
    """
    return Sentence(text=text.format(*(each.shown for each in figures)), figures=figures)


def finding_figures(bundle: Bundle, number: int, form: str = ".3f") -> tuple[Figure, ...]:
    """Value, lower and upper bound of one finding of a bundle, by its place there; those that it has."""
    finding = bundle.findings[number]
    parts = {"value": finding.value, "lower": finding.lower, "upper": finding.upper}
    return tuple(
        figure(value, Reference(kind=Place.FINDING, digest=bundle.digest, at=f"{number}/{name}"), form)
        for name, value in parts.items()
        if value is not None
    )


def finding_sentence(bundle: Bundle, number: int, about: str | Sentence, form: str = ".3f") -> Sentence:
    """A finding in words: its value with its interval, or why it has none."""
    finding = bundle.findings[number]
    figures = finding_figures(bundle, number, form)
    if finding.value is None:
        why = Reference(kind=Place.FINDING, digest=bundle.digest, at=f"{number}/reason")
        said = sentence("not estimable, {}", figure(finding.reason or "no reason was given", why))
    elif len(figures) < 3:
        said = sentence("{} (no interval)", *figures[:1])
    else:
        said = sentence("{} ({} to {})", *figures)
    if isinstance(about, str):
        about = Sentence(text=about)
    return Sentence(text=f"{about.text}: {said.text}", figures=(*about.figures, *said.figures))


def find_finding(
    bundle: Bundle, metric: str, *, population: str | None = None, comparison: str | None = None
) -> int | None:
    """The place in a bundle of the first finding that fits; None where there is none."""
    for number, one in enumerate(bundle.findings):
        if fits(one, metric, population=population, comparison=comparison):
            return number
    return None


def fits(finding: Finding, metric: str, *, population: str | None, comparison: str | None) -> bool:
    """Whether a finding is of a metric, on a population, compared with something; None: with whatever."""
    return (
        finding.metric == metric
        and population in (None, finding.population)
        and comparison in (None, finding.comparison)
    )
