"""Read the numbers of a protocol: thresholds, how old a finding may be, how many patients it takes."""

from __future__ import annotations

import re

from salus.findings import METRICS
from salus.formats.strict_yaml import Section
from salus.programme.protocol import Age, Bound, Threshold

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
ONE_SIDED = re.compile(rf"(>=|<=|>|<)\s*({NUMBER})")
BETWEEN = re.compile(rf"in\s*\[\s*({NUMBER})\s*,\s*({NUMBER})\s*\]")
ISO_AGE = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")
OLDEST_DAYS = 36_525
FITS = {Bound.LOWER: ">= or >", Bound.UPPER: "<= or <", Bound.BOTH: "in [low, high]"}


def read_threshold(content: Section, text: str) -> Threshold:
    """Read ">= 0.85", "<= 0.55", "> 0", "< 1" or "in [0.8, 1.25]"."""
    written = " ".join(text.split())
    one_sided, between = ONE_SIDED.fullmatch(written), BETWEEN.fullmatch(written)
    if one_sided:
        sign, limit = one_sided.group(1), float(one_sided.group(2))
        low, high = (limit, None) if sign.startswith(">") else (None, limit)
        return Threshold(text=written, low=low, high=high, strict=not sign.endswith("="))
    if between:
        low, high = float(between.group(1)), float(between.group(2))
        if low < high:
            return Threshold(text=written, low=low, high=high)
    raise content.wrong(
        f"the threshold '{text}' cannot be read",
        'write ">= 0.85", "<= 0.55", "> 0", "< 1" or "in [0.8, 1.25]"',
    )


def check_fit(content: Section, bound: Bound, threshold: Threshold) -> None:
    """Refuse a bound that cannot clear a threshold of this sign: an upper bound says nothing about "at least"."""
    needed = {
        (True, False): Bound.LOWER,
        (False, True): Bound.UPPER,
        (True, True): Bound.BOTH,
    }[threshold.low is not None, threshold.high is not None]
    if bound not in (needed, Bound.POINT):
        raise content.wrong(
            f"'bound: {bound}' does not fit the threshold '{threshold.text}'",
            f"write 'bound: {needed}', or a threshold with {FITS[bound]}",
        )


def check_direction(content: Section, metric: str, threshold: Threshold) -> None:
    """Refuse a threshold that asks for the worse: an AUROC of at most 0.8, a slope that may not be 1."""
    better = METRICS[metric].better
    if isinstance(better, float):
        if not threshold.cleared_by(better):
            raise content.wrong(
                f"'{threshold.text}' shuts out {better:g}, which is ideal for {metric}",
                f"choose limits around {better:g}",
            )
        return
    refused = threshold.low is None if better == "up" else threshold.high is None
    if refused:
        side, sign = ("higher", ">=") if better == "up" else ("lower", "<=")
        raise content.wrong(
            f"'{threshold.text}' asks for the worse: {side} is better for {metric}",
            f'write a threshold such as "{sign} {(threshold.low or threshold.high or 0.0):g}"',
        )


def read_age(content: Section, key: str) -> Age | None:
    """Read P180D, P6M, P26W or P1Y (ISO 8601, whole days and longer); None where the key is absent."""
    if not content.has(key):
        return None
    text = content.text(key)
    found = ISO_AGE.fullmatch(text)
    years, months, weeks, days = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    age = Age(text=text, months=12 * years + months, days=7 * weeks + days)
    if not 0 < age.months * 31 + age.days <= OLDEST_DAYS:
        raise content.wrong(
            f"'{key}' cannot be '{text}'", "write days, weeks, months or years as P180D, P26W, P6M or P1Y"
        )
    return age


def read_count(content: Section, key: str) -> int:
    """Read a whole number from 0 up; 0 where the key is absent."""
    number = content.number(key) or 0.0
    if number < 0 or number != int(number):
        raise content.wrong(f"'{key}' must be a whole number, 0 or more", f"write '{key}: 100'")
    return int(number)
