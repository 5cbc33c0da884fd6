"""What each attack found, in a sentence for people who do not read intervals for a living."""

from __future__ import annotations

from collections.abc import Sequence

from salus.findings import Finding

Sides = dict[str, Finding]

WHAT: dict[str, str] = {
    "privacy.singling_univariate": "that one fact fits exactly one real patient",
    "privacy.singling_multivariate": "that three facts together fit exactly one real patient",
    "privacy.linkability": "which entries of two lists are the same person",
    "privacy.inference": "what a patient keeps secret",
    "privacy.copies": "are a real one word for word",
    "privacy.near_copies": "lie as close to a real one as hardly any two real patients do",
    "privacy.runs": "share as long a stretch with a real one as hardly any two real patients do",
}
LOOKS = ("privacy.copies", "privacy.near_copies", "privacy.runs")
GUESSES = (
    "Of 1,000 guesses {what}, {count} were right",
    "; of 1,000 about patients never learnt from, {count}",
    "; of 1,000 without the set, {count}",
)
RECORDS = (
    "Of 1,000 synthetic records {count} {what}",
    "; of 1,000 records never learnt from, {count}",
    "; by chance alone, {count}",
)
NAMES: dict[str, str] = {
    "privacy.membership_auc": "Membership",
    "privacy.density_auc": "Membership by the synthetic patients alone",
    "privacy.singling_univariate": "Singling out by one fact",
    "privacy.singling_multivariate": "Singling out by three facts",
    "privacy.linkability": "Linking two lists",
    "privacy.inference": "Guessing what is secret",
    "privacy.copies": "Copies",
    "privacy.near_copies": "Near copies",
    "privacy.runs": "Stretches learnt by heart",
}
"""What a person is told of, in this order; the rest is in the tables."""


def sentences(findings: Sequence[Finding]) -> dict[str, str]:
    """One sentence or a few about each attack, by its name."""
    found = by_metric(findings)
    told = {}
    by_output = found.get("privacy.density_auc", {}).get("attack")
    for metric, name in NAMES.items():
        if metric not in found:
            continue
        if metric == "privacy.membership_auc" and _unmeasured(found[metric]) and by_output is not None:
            continue  # without a model the attack on its output stands for both
        if metric.endswith("_auc"):
            told[name] = _auc(found[metric], found.get(metric.replace("_auc", "_tpr_01pct"), {}))
        else:
            told[name] = _guesses(metric, found[metric], found.get(f"{metric}_risk", {}))
    return told


def by_metric(findings: Sequence[Finding]) -> dict[str, Sides]:
    """Findings by metric and comparison; those of single secrets and groups are left out."""
    found: dict[str, Sides] = {}
    for one in findings:
        if "; " not in one.population:
            found.setdefault(one.metric, {})[one.comparison] = one
    return found


def _guesses(metric: str, sides: Sides, risks: Sides) -> str:
    attack, control, baseline = (sides.get(side) for side in ("attack", "control", "baseline"))
    if attack is None or attack.value is None:
        return f"Not measured: {attack.reason if attack else 'it was not run'}."
    first, second, third = (RECORDS if metric in LOOKS else GUESSES)[:3]
    what = WHAT[metric]
    told = first.format(count=thousandth(attack.value), what=what)
    if control is not None and control.value is not None:
        told += second.format(count=thousandth(control.value))
    if baseline is not None and baseline.value is not None:
        told += third.format(count=thousandth(baseline.value))
    risk = risks.get("attack")
    if risk is None or risk.value is None or risk.lower is None or risk.upper is None:
        return f"{told}. How much the set gave away cannot be said."
    if baseline is not None and attack.value <= (baseline.value or 0.0):
        as_well = "chance does" if metric in LOOKS else "a guess without the set does"
        return f"{told}. That shows no leak: {as_well} as well."
    if risk.lower <= 0:
        most = percent(max(risk.upper, 0.001))
        return f"{told}. That shows no leak: less than {most} of what there was to win was given away."
    return (
        f"{told}. The set gave away {percent(risk.value)} ({percent(risk.lower)} to {percent(risk.upper)})."
    )


def is_leak(attack: Finding | None, baseline: Finding | None, risk: Finding | None) -> bool:
    """Whether the set surely gave something away, and more than anybody could guess; also where nothing is known."""
    if attack is None or attack.value is None or risk is None or risk.lower is None:
        return True
    return risk.lower > 0 and (baseline is None or attack.value > (baseline.value or 0.0))


def _unmeasured(sides: Sides) -> bool:
    attack = sides.get("attack")
    return attack is None or attack.value is None


def _auc(sides: Sides, tail: Sides) -> str:
    attack = sides.get("attack")
    if attack is None or attack.value is None or attack.lower is None or attack.upper is None:
        return f"Not measured: {attack.reason if attack else 'it was not run'}."
    told = (
        "Shown a patient who was learnt from and one who was not, the attack picks the right one"
        f" {100 * attack.value:.0f} times of 100 ({100 * attack.lower:.1f} to {100 * attack.upper:.1f});"
        " a coin does 50."
    )
    few = tail.get("attack")
    if few is None or few.value is None or few.lower is None or few.upper is None:
        return told
    return (
        f"{told} If one in 1,000 may be suspected wrongly, it finds {thousandth(few.value)} of 1,000"
        f" ({thousandth(few.lower)} to {thousandth(few.upper)}); a coin 1."
    )


def thousandth(share: float) -> str:
    """How many of a thousand.

    >>> thousandth(0.31249), thousandth(0.0004), thousandth(0.0)
    ('312', '0.4', '0')
    """
    many = 1000 * share
    return f"{many:,.0f}" if many >= 10 or many == 0 else f"{many:.1f}".removesuffix(".0")


def percent(share: float) -> str:
    """A share in percent, whole where it is large.

    >>> percent(0.314), percent(0.0042)
    ('31 %', '0.4 %')
    """
    return f"{100 * share:.0f} %" if abs(share) >= 0.1 else f"{100 * share:.1f} %"
