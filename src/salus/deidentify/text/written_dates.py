"""Dates and ages as people write them: where they stand, which day they tell, the same form for another day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from salus.deidentify.text.spans import EVEN, LIKELY, SURE, Kind, Span

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?"
YEAR = r"(?:1[89]|20)\d\d"
DAY = r"(?:3[01]|[12]\d|0?[1-9])"
MONTH_NUMBER = r"(?:1[0-2]|0?[1-9])"
TIME = r"(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?(?:Z|[+-]\d\d:?\d\d)?)?"
DIGIT_DATE = re.compile(
    rf"(?=\d)(?<![\d./-])(?:"
    rf"(?P<iso>(?P<iy>{YEAR})(?P<is>[-/.])(?P<im>{MONTH_NUMBER})(?P=is)(?P<id>{DAY})(?!\d){TIME})"
    rf"|(?P<num>(?P<na>\d{{1,2}})(?P<ns>[-/.]|\s/\s|\s?-\s?)(?P<nb>\d{{1,2}})(?P=ns)(?P<ny>\d{{4}}"
    rf"|['’]?\d\d)(?![\d%]){TIME})"
    rf"|(?P<compact>(?P<cy>{YEAR})(?P<cm>0[1-9]|1[0-2])(?P<cd>0[1-9]|[12]\d|3[01]))(?!\d)"
    rf"|(?P<my>(?P<mm>{MONTH_NUMBER})[-/](?P<myy>{YEAR}))(?!\d|[-/.]\d)"
    rf"|(?P<ym>(?P<ymy>{YEAR})[-/](?P<ymm>0[1-9]|1[0-2]))(?!\d|[-/.]\d)"
    rf")"
)
WORD_DATE = re.compile(
    rf"\b(?:{WEEKDAY}\.?,?\s+)?(?:"
    rf"(?P<m1>{MONTH})\b\.?[\s-]*(?:the\s+)?(?P<d1>{DAY})(?:st|nd|rd|th)?\b(?:(?:\s*,\s*|\s+|-"
    rf"|,?\s+of\s+)(?P<y1>{YEAR}|['’]\d\d))?(?!\d)"
    rf"|(?P<m3>{MONTH})\b\.?,?[\s-]*(?:of\s+)?(?P<y3>{YEAR}|['’]\d\d)\b"
    rf")",
    re.IGNORECASE,
)
DAY_FIRST = re.compile(
    rf"(?<![\d.,/-])(?P<d2>{DAY})(?:st|nd|rd|th)?(?:\s+of|\s+day\s+of)?[\s./-]*(?P<m2>{MONTH})\b\.?(?:[\s,."
    rf"/-]*(?P<y2>{YEAR}|['’]?\d\d)(?!\d))?",
    re.IGNORECASE,
)
BARE_YEAR = re.compile(
    r"(?<![\d.,/$€£#:+*x×=<>-])(?<!\bat\s)(?<!\bx\s)(?<!\d\s)\b(?:19[0-9]\d"
    r"|20[0-3]\d)(?:\s?[-–/]\s?(?:19\d\d|20[0-3]\d|\d\d))?\b(?!\s?(?:m?l\b|m?c?gm?\b|mcg|cc\b|kcal|cal"
    r"|units?|hours|hrs?\b|h\b|iu\b|steps|cells|patients|dollars|[/%×x:–-]\d|%|[.,]\d|mm|cm|k?g\b|ft|feet"
    r"|lbs|pounds|beats|copies|times))",
    re.IGNORECASE,
)
MONTH_ALONE = re.compile(
    r"\b(?:in|since|until|last|this|next|early|late|mid|of|during|by|from|through|to|every"
    r"|for)[\s-]+(?P<month>January|February|March|April|May|June|July|August|September|October|November"
    r"|December)\b(?!\s*\d)"
)
SHORT = re.compile(
    rf"\b(?P<before>on|since|from|until|till|by|dated?|to|through|thru|seen|d/c|admitted|at|and|last|next"
    rf"|for|due|starting|between|of|week)[:\s]+(?P<date>{MONTH_NUMBER}[/-]{DAY})(?![\d/%-]|\.\d|\s*(?:mg|ml"
    rf"|pain|strength|in\s+severity|murmur|systolic|diastolic|tabs?))",
    re.IGNORECASE,
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK_DAY = re.compile(rf"\b(?:{'|'.join(WEEKDAYS)})\b", re.IGNORECASE)
HOLIDAY = re.compile(
    r"\b(?:labor day|memorial day|thanksgiving|christmas(?: eve| day)?|new year['’]?s(?: eve| day)?"
    r"|easter(?: sunday)?|hallowe?en"
    r"|independence day|(?:4th|fourth) of july|columbus day|veteran['’]?s['’]? day|president['’]?s['’]? da"
    r"y|martin luther king day|mlk day"
    r"|valentine['’]?s(?: day)?|mother['’]?s day|father['’]?s day|ramadan|eid|yom kippur|rosh hashanah?"
    r"|passover|hanukkah|diwali)\b",
    re.IGNORECASE,
)
NUMBER_WORD = (
    r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ](?:one|two|three|four|five|six"
    r"|seven|eight|nine))?|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|one|two|three|fou"
    r"r|five|six|seven|eight|nine)"
)
AGE = re.compile(
    rf"(?<![\w.])(?:(?P<a1>\d{{1,3}}(?:\.\d)?|{NUMBER_WORD})(?:\s?[-–]\s?|\s)?(?:years?|yrs?|y|months?|mos?"
    rf"|weeks?|wks?|days?)[.,]?(?:\s?[-–/]\s?|\s)?(?:old\b|o\b\.?|of\s+age\b)"
    r"|(?P<a2>\d{1,3})\s?(?:y/?o|y\.o\.?|yo)\b"
    r"|(?P<a3>\d{1,3})\s?[- ]?(?:[MF]|male|female|man|woman)\b(?!\s*[/°])"
    rf"|(?:aged?|age\s+of|turn(?:ed|s|ing)?|when\s(?:he|she|they|i)\s(?:was|were)|i\s?['’]?a?m)(?:\s*[:=]\s"
    rf"*|\s+(?:is\s+|now\s+|about\s+)?)(?P<a4>\d{{1,3}}|{NUMBER_WORD})\b(?!\s*(?:%|mg|ml|[./:]\d|weeks?\s"
    rf"|days?\s|months?\s|hours|pounds|lbs|kg|cm|feet|minutes|percent))"
    r"|\b(?:he|she|pt|patient|who)\s+is\s+(?:now\s+|currently\s+)?(?P<a6>\d{2,3})(?=\s*(?:[,.;](?!\d)|and\b|$))"
    r"|in\s+(?:his|her|their|my|the)\s+(?:(?:early|mid|late)[\s-]+)?(?P<a5>\d0\s?['’]?s|twenties|thirties"
    r"|forties|fifties|sixties|seventies|eighties|nineties)\b)",
    re.IGNORECASE,
)


def find_dates(text: str) -> Iterator[Span]:
    """All dates of all forms."""
    for found in DIGIT_DATE.finditer(text):
        if _told_day(found) is not None or found.group("my", "ym") != (None, None):
            doubt = SURE if found.group("num") is None or len(found.group("ny")) == 4 else LIKELY
            yield Span(*found.span(), Kind.DATE, "date in digits", doubt)
    for found in WORD_DATE.finditer(text):
        yield Span(*found.span(), Kind.DATE, "date in words", SURE)
    for found in DAY_FIRST.finditer(text):
        yield Span(*found.span(), Kind.DATE, "date in words", SURE)
    yield from (Span(*found.span(), Kind.DATE, "year", EVEN) for found in BARE_YEAR.finditer(text))
    for found in SHORT.finditer(text):
        yield Span(*found.span("date"), Kind.DATE, "day and month", EVEN)
    for found in MONTH_ALONE.finditer(text):
        yield Span(*found.span("month"), Kind.DATE, "month", EVEN)
    for found in WEEK_DAY.finditer(text):
        yield Span(*found.span(), Kind.DATE, "weekday", EVEN)
    for found in HOLIDAY.finditer(text):
        yield Span(*found.span(), Kind.DATE, "holiday", SURE)


def find_ages(text: str) -> Iterator[Span]:
    """All ages; those under 90 too, for who reads the text decides what an age may tell."""
    for found in AGE.finditer(text):
        number = next((g for g in found.groups() if g), "")
        if number.isdigit() and int(number) > 125:
            continue
        alone = next((name for name in ("a4", "a5", "a6") if found.group(name)), None)
        span = found.span(alone) if alone else found.span()
        yield Span(*span, Kind.AGE, "age", SURE if found.group("a1") else LIKELY)


def _told_day(found: re.Match[str]) -> date | None:
    """The day a date in digits tells; None where there is none such."""
    for year, month, day in (("iy", "im", "id"), ("cy", "cm", "cd"), ("ny", "na", "nb"), ("ny", "nb", "na")):
        if found.group(year) is None:
            continue
        try:
            return date(full_year(found.group(year)), int(found.group(month)), int(found.group(day)))
        except ValueError:
            continue
    return None


def full_year(written: str) -> int:
    """Four digits of a year written with two or four; two digits up to 39 are of this century.

    >>> full_year("1987"), full_year("’87"), full_year("07")
    (1987, 1987, 2007)
    """
    number = int(written.strip("'’"))
    if len(written.strip("'’")) > 2:
        return number
    return number + (2000 if number < 40 else 1900)


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date as it is written: what stands for year, month and day, each with its place in the text."""

    year: tuple[int, int] | None
    month: tuple[int, int] | None
    day: tuple[int, int] | None
    told: date


def read_date(text: str, *, day_first: bool = False) -> WrittenDate | None:
    """What a date found by these rules tells; a missing day is the 15th, a missing month the 2nd of July.

    ``day_first``: how 03/04/2019 is read; 13/04/2019 is clear by itself.
    """
    found = DIGIT_DATE.search(text)
    if found is not None:
        return _read_digits(found, day_first)
    choices = [
        (m, n)
        for p, n in ((DAY_FIRST, "2"), (WORD_DATE, "1"), (WORD_DATE, "3"))
        if (m := p.search(text)) and m.group(f"m{n}")
    ]
    if choices:
        found, number = max(choices, key=lambda choice: choice[0].end() - choice[0].start())
        names = found.groupdict()
        day = found.span(f"d{number}") if names.get(f"d{number}") else None
        year = found.span(f"y{number}") if names.get(f"y{number}") else None
        return _dated(text, year, found.span(f"m{number}"), day)
    year_only = re.fullmatch(rf"\s*({YEAR})\s*", text)
    return _dated(text, year_only.span(1), None, None) if year_only else None


def _read_digits(found: re.Match[str], day_first: bool) -> WrittenDate | None:
    orders = [("iy", "im", "id"), ("cy", "cm", "cd"), ("ny", "na", "nb"), ("ny", "nb", "na")]
    if day_first:
        orders[2:] = orders[:1:-1]
    for year, month, day in orders:
        if found.group(year) is not None:
            read = _dated(found.string, found.span(year), found.span(month), found.span(day))
            if read is not None:
                return read
    for year, month in (("myy", "mm"), ("ymy", "ymm")):
        if found.group(year) is not None:
            return _dated(found.string, found.span(year), found.span(month), None)
    return None


def _dated(
    text: str, year: tuple[int, int] | None, month: tuple[int, int] | None, day: tuple[int, int] | None
) -> WrittenDate | None:
    """The parts with the day they tell; a date without a year is taken to be of 2001, no leap year."""
    try:
        told = date(
            full_year(text[slice(*year)]) if year else 2001,
            month_number(text[slice(*month)]) if month else 7,
            int(text[slice(*day)]) if day else 15 if month else 2,
        )
    except ValueError:
        return None
    return WrittenDate(year, month, day, told)


def month_number(written: str) -> int:
    """From 1 to 12 for a month in digits or words.

    >>> month_number("Sept"), month_number("09")
    (9, 9)
    """
    if written.isdigit():
        return int(written)
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(written.lower()[:3]))


def moved_date(text: str, shift: timedelta, *, day_first: bool = False) -> str | None:
    """The same date in the same form, moved; None where the text tells no day that there is.

    >>> moved_date("March 30, 2019", timedelta(days=3)), moved_date("30.3.19", timedelta(days=3))
    ('April 2, 2019', '2.4.19')
    """
    read = read_date(text, day_first=day_first)
    if read is None:
        return None
    try:
        day = read.told + shift
    except OverflowError:
        return None
    numbers = [text[slice(*part)] for part in (read.month, read.day) if part and text[slice(*part)].isdigit()]
    noughts = any(n[0] == "0" for n in numbers) or (len(numbers) == 2 and all(len(n) == 2 for n in numbers))
    parts: list[tuple[tuple[int, int], str]] = []
    if read.year:
        parts.append((read.year, _year_like(text[slice(*read.year)], day.year)))
    if read.month:
        parts.append((read.month, _month_like(text[slice(*read.month)], day.month, noughts)))
    if read.day:
        parts.append((read.day, f"{day.day:02}" if noughts else str(day.day)))
    for (start, end), new in sorted(parts, reverse=True):
        text = text[:start] + new + text[end:]
    return _ordinals(text) if read.day else text


def _year_like(written: str, year: int) -> str:
    if len(written.strip("'’")) > 2:
        return f"{year:04}"
    return written[: len(written) - 2] + f"{year % 100:02}"


def _month_like(written: str, month: int, noughts: bool) -> str:
    """Two digits where the writer writes two, a whole name or three letters of it."""
    if written.isdigit():
        return f"{month:02}" if noughts else str(month)
    name = MONTHS[month - 1]
    if written.lower() not in MONTHS or len(written) == 3:
        name = name[:3]
    return name.upper() if written.isupper() else name.title() if written[0].isupper() else name


def _ordinals(text: str) -> str:
    """1st, 2nd, 3rd, 4th after a day has changed."""

    def ending(found: re.Match[str]) -> str:
        day = int(found.group(1))
        right = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return found.group(1) + (right.upper() if found.group(2).isupper() else right)

    return re.sub(r"\b(\d{1,2})(st|nd|rd|th)\b", ending, text, flags=re.IGNORECASE)
