"""What a person reads of an attack: so many of a thousand, beside control and luck; a leak only above both."""

from __future__ import annotations

from salus.findings import Finding
from salus.workflows.pages.attack_words import NAMES, is_leak, sentences


def finding(
    metric: str, side: str, value: float | None, lower: float | None = None, upper: float | None = None
):
    return Finding(
        metric=f"privacy.{metric}",
        population="1,000 guesses",
        value=value,
        lower=lower,
        upper=upper,
        patients=1000,
        method="invented",
        comparison=side,
        reason="" if value is not None else "fewer than 50 guesses",
    )


def question(
    attack: float, control: float, baseline: float, risk: tuple[float, float, float]
) -> list[Finding]:
    return [
        finding("linkability", "attack", attack),
        finding("linkability", "control", control),
        finding("linkability", "baseline", baseline),
        finding("linkability_risk", "attack", *risk),
    ]


def said(findings: list[Finding]) -> str:
    return sentences(findings)["Linking two lists"]


def test_a_leak_is_told_with_its_bounds():
    assert said(question(0.312, 0.035, 0.002, (0.287, 0.26, 0.31))) == (
        "Of 1,000 guesses which entries of two lists are the same person, 312 were right; of 1,000 about patients never"
        " learnt from, 35; of 1,000 without the set, 2. The set gave away 29 % (26 % to 31 %)."
    )


def test_no_leak_is_told_with_the_most_it_could_be():
    assert said(question(0.05, 0.05, 0.002, (0.0, -0.02, 0.021))).endswith(
        "That shows no leak: less than 2.1 % of what there was to win was given away."
    )


def test_what_anybody_could_guess_is_no_leak():
    worse = question(0.3, 0.1, 0.4, (0.22, 0.1, 0.3))
    assert said(worse).endswith("That shows no leak: a guess without the set does as well.")
    assert not is_leak(worse[0], worse[2], worse[3])
    assert is_leak(worse[0], finding("linkability", "baseline", 0.2), worse[3])


def test_what_was_not_measured_says_so_and_asks_for_a_look():
    empty = finding("linkability", "attack", None)
    assert said([empty]) == "Not measured: fewer than 50 guesses."
    assert is_leak(empty, None, None)


def test_membership_is_told_in_pairs_of_patients():
    found = [
        finding("membership_auc", "attack", 0.61, 0.58, 0.64),
        finding("membership_tpr_01pct", "attack", 0.012, 0.003, 0.024),
    ]
    assert sentences(found)["Membership"] == (
        "Shown a patient who was learnt from and one who was not, the attack picks the right one 61 times of 100 (58.0"
        " to 64.0); a coin does 50. If one in 1,000 may be suspected wrongly, it finds 12 of 1,000 (3 to 24); a coin 1."
    )


def test_without_a_model_the_attack_on_its_output_stands_for_both():
    found = [finding("membership_auc", "attack", None), finding("density_auc", "attack", 0.5, 0.48, 0.52)]
    assert list(sentences(found)) == [NAMES["privacy.density_auc"]]
