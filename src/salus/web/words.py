"""The words in which pages say what a finding, a criterion and a verdict are."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from salus.findings import METRICS, Finding, Grade
from salus.programme.gate import Verdict
from salus.programme.protocol import Bound, Criterion, Severity
from salus.programme.usecase import State
from salus.workflows.pages.words import HELD, number

VERDICTS = {
    Verdict.PASS: ("pass", "The evidence meets the protocol. People still have to sign."),
    Verdict.FAIL: ("fail", "The evidence falls short of the protocol."),
    Verdict.INCONCLUSIVE: ("open", "The evidence does not settle it."),
    Verdict.NOT_ESTIMABLE: ("missing", "Something that the protocol asks for could not be judged."),
    Verdict.NOT_APPLICABLE: ("missing", "The protocol does not apply."),
}
"""For each verdict the name of its mark, and what it means."""
KINDS = {
    "fidelity": ("Fidelity", "Are synthetic patients like real ones?"),
    "utility": ("Utility", "Can one learn from synthetic patients?"),
    "privacy": ("Privacy", "Can one tell who was trained on?"),
    "forecast": ("Forecasts", "Do the risks hold on patients the model never saw?"),
}
SEVERITIES = {
    Severity.SAFETY: "a patient may come to harm",
    Severity.RELEASE: "something may leave that must not",
    Severity.VALUE: "it may not be worth its cost",
}
GRADES = {
    Grade.A: "A: computed here, can be computed again",
    Grade.B: "B: computed elsewhere, signed",
    Grade.C: "C: attested by a person",
    Grade.D: "D: claimed by a vendor",
}
TIERS = {1: "tier 1, administrative", 2: "tier 2, decision support", 3: "tier 3, high stakes"}
ROAD = (
    (State.IDEA, "somebody wants it"),
    (State.READINESS, "people and systems are ready"),
    (State.DATA, "records are read and checked"),
    (State.MODEL, "a model is trained and measured"),
    (State.SILENT, "it runs and nobody sees it"),
    (State.SUPERVISED, "people see it and decide"),
    (State.PRODUCTION, "it is part of care"),
)
OFF_THE_ROAD = {
    State.PAUSED: "Paused: it may go on later.",
    State.RETIRED: "Retired: it is over.",
    State.REVIEW_DUE: "A review is due before it may go on.",
    State.SUSPENDED: "Suspended: a stop rule was met.",
}
BOUNDS = {
    Bound.LOWER: "lower bound",
    Bound.UPPER: "upper bound",
    Bound.BOTH: "both bounds",
    Bound.POINT: "value",
}
HELD_OUT = "held_out: "
SHORT = 12


def signs(text: str) -> str:
    """Write comparisons as people do.

    >>> signs("clears >= 0.8").replace(HELD, " ")
    'clears ≥ 0.8'
    """
    return text.replace(">= ", f"≥{HELD}").replace("<= ", f"≤{HELD}").replace(">=", "≥").replace("<=", "≤")


def asked(criterion: Criterion) -> str:
    """What a criterion asks for: which bound, which threshold."""
    text = signs(criterion.threshold.text).replace(" ", HELD)
    return f"{BOUNDS[criterion.bound]} {text}"


def population(name: str) -> str:
    """Who was measured, in words.

    >>> population("held_out: death_5y; sex F"), population("all")
    ('death_5y; sex F, held-out patients', 'all patients')
    """
    if name.startswith(HELD_OUT):
        return f"{name.removeprefix(HELD_OUT)}, held-out patients"
    return "all patients" if name == "all" else name or "any population"


def meaning(metric: str) -> str:
    """What a metric says, starting with a capital letter."""
    return capital(METRICS[metric].meaning) if metric in METRICS else metric


def better(metric: str) -> str:
    """Where better lies."""
    side = METRICS[metric].better if metric in METRICS else ""
    return {"up": "higher is better", "down": "lower is better"}.get(str(side), f"{side} is ideal")


def capital(sentence: str) -> str:
    """Start with a capital letter, unless a name of our own comes first, and leave the rest as it is.

    >>> capital("the lower bound"), capital("forecast.auroc was not measured")
    ('The lower bound', 'forecast.auroc was not measured')
    """
    first = sentence.split(" ", 1)[0].rstrip(".:,")
    return sentence if "." in first or "_" in first else sentence[:1].upper() + sentence[1:]


def value(finding: Finding) -> str:
    """A finding's value with its unit."""
    if finding.value is None or not math.isfinite(finding.value):
        return "not estimable"
    return figure(finding.value, finding.unit)


def patients(finding: Finding) -> str:
    """How many patients a finding rests on; findings write a withheld group of one to four as 0."""
    return f"{finding.patients:,}" if finding.patients else "fewer than 5"


def bounds(finding: Finding) -> str:
    """A finding's bounds, or the empty string."""
    if finding.lower is None or finding.upper is None:
        return ""
    return f"{figure(finding.lower)}{HELD}to{HELD}{figure(finding.upper)}"


def figure(value: float, unit: str = "1") -> str:
    """A plain number with three decimals, so that a column of them lines up; others to four figures.

    >>> figure(0.95), figure(0.00012), figure(13682.0)
    ('0.950', '0.00012', '13,680')
    """
    plain = unit == "1" and (value == 0 or 0.01 <= abs(value) < 10)
    return f"{value:.3f}" if plain else number(value, unit)


def ticked(text: str) -> Markup:
    """Text in which what stands between backticks is a command.

    >>> str(ticked("run `salus demo` & look"))
    'run <code>salus demo</code> &amp; look'
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def date(moment: str | datetime | None) -> str:
    """A day and time in UTC.

    >>> date("2026-02-01T09:00:00+00:00").replace(HELD, " ")
    '2026-02-01 09:00 UTC'
    """
    if not moment:
        return "not said"
    try:
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        return str(moment)
    if when.tzinfo is None:
        return f"{when:%Y-%m-%d %H:%M} (no zone)"
    return when.astimezone(UTC).strftime(f"%Y-%m-%d{HELD}%H:%M{HELD}UTC")


def title_of(name: str) -> str:
    """A name of small letters and hyphens as a title.

    >>> title_of("early-warning")
    'Early warning'
    """
    return capital(name.replace("-", " "))


def short(digest: str) -> str:
    """The start of a digest, enough to compare by eye."""
    return digest[:SHORT]
