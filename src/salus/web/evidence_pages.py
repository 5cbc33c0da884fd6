"""The findings of a bundle as a list that can be narrowed, and one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from salus.errors import WorkspaceError, nearest
from salus.findings import Bundle, Finding
from salus.programme.gate import Judged, Judgement
from salus.web import words

A_PAGE = 40
BY_CODE, BY_GROUP = "by-code", "by-group"
NAMES = {
    "": "All",
    **{kind: name for kind, (name, _) in words.KINDS.items()},
    BY_GROUP: "By group of patients",
    BY_CODE: "Fidelity of each code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to narrow the list: its name in the address, its words, how many findings it leaves."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One screen of findings with their numbers."""

    kind: str
    choices: tuple[Choice, ...]
    rows: tuple[tuple[int, Finding], ...]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One finding: its number, its neighbours' numbers, and the criteria that rest on it."""

    number: int
    finding: Finding
    before: int | None
    after: int | None
    of: int
    judged: tuple[Judged, ...]


def kind_of(finding: Finding) -> str:
    """Under which heading a finding is listed."""
    if finding.metric.startswith("fidelity.code_"):
        return BY_CODE
    return BY_GROUP if ";" in finding.population else finding.kind


def listed(bundle: Bundle, *, kind: str, page: str) -> Listed:
    """The findings of one kind (empty: all), one screen of them."""
    numbered = list(enumerate(bundle.findings, start=1))
    counts = Counter(kind_of(finding) for finding in bundle.findings)
    choices = [Choice(kind="", name=NAMES[""], count=len(numbered))]
    choices += [
        Choice(kind=each, name=NAMES.get(each, words.title_of(each)), count=counts[each])
        for each in sorted(counts, key=lambda each: list(NAMES).index(each) if each in NAMES else len(NAMES))
    ]
    if kind and kind not in counts:
        raise WorkspaceError(
            f"there are no findings of the kind '{kind}'{nearest(kind, counts)}",
            where="?kind= in the address",
            fix="choose a kind on the page of the evidence",
        )
    these = [(number, finding) for number, finding in numbered if kind in ("", kind_of(finding))]
    pages = max(math.ceil(len(these) / A_PAGE), 1)
    at = _page(page, pages)
    return Listed(
        kind=kind,
        choices=tuple(choices),
        rows=tuple(these[(at - 1) * A_PAGE : at * A_PAGE]),
        page=at,
        pages=pages,
        total=len(these),
    )


def shown(bundle: Bundle, number: str, judgement: Judgement | None) -> Shown:
    """One finding by its number, counted from 1 in the order of the bundle."""
    total = len(bundle.findings)
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
    if not 1 <= at <= total:
        raise WorkspaceError(
            f"there is no finding '{number}'; they are numbered 1 to {total}"
            if total
            else "there are no findings",
            where="the address",
            fix="choose a finding on the page of the evidence",
        )
    finding = bundle.findings[at - 1]
    return Shown(
        number=at,
        finding=finding,
        before=at - 1 if at > 1 else None,
        after=at + 1 if at < total else None,
        of=total,
        judged=tuple(judged for judged in judgement.criteria if judged.finding is finding)
        if judgement
        else (),
    )


def bundle_json(bundle: Bundle) -> dict[str, object]:
    """A bundle as JSON."""
    return {
        "digest": bundle.digest,
        "created": bundle.created,
        "subjects": bundle.subjects,
        "findings": [finding_json(finding) for finding in bundle.findings],
    }


def finding_json(finding: Finding) -> dict[str, object]:
    """A finding as JSON, with the fields that the bundle holds."""
    return asdict(finding)


def describe_interval(finding: Finding) -> Sequence[str]:
    """What the bounds are, in words."""
    if finding.lower is None or finding.upper is None:
        return ("no bounds were given",)
    return (words.bounds(finding), f"{100 * finding.level:g} % interval")


def _page(given: str, pages: int) -> int:
    at = int(given) if given.isascii() and given.isdigit() and len(given) < 7 else 0
    if not 1 <= at <= pages:
        raise WorkspaceError(
            f"there is no page '{given}' of this list; it has {pages}",
            where="?page= in the address",
            fix="follow the links below the list",
        )
    return at
