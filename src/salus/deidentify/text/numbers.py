"""Addresses of the net, phones and numbers that belong to one person: records, accounts, licences, devices, cards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from salus.deidentify.text.spans import EVEN, LIKELY, SURE, Kind, Span
from salus.deidentify.text.vocabulary import said_to_be

EMAIL_NAME = re.compile(r"[\w+%-](?:[\w.+%'’-]{0,80}[\w+%-])?\s?$")
EMAIL_PLACE = re.compile(r"\s?[\w-]{1,60}(?:\.[\w-]{1,60}){1,5}")
URL = re.compile(r"(?:\b(?:https?|ftp)://|\bwww\.)[^\s<>\"'|)]{2,200}", re.IGNORECASE)
DOMAIN = (
    "com org net edu gov mil int info biz io co us uk ca de fr ru cz pl it es nl eu se fi dk no be at ch "
    "hu pt br jp cn in au nz me tv app dev health"
    " online site ly"
)
DOMAIN_END = re.compile(
    rf"\.(?:{DOMAIN.replace(' ', '|')})(?:\.[a-z]{{2}})?(?:/[^\s<>\"'|)]{{0,200}})?(?![\w@])", re.IGNORECASE
)
DOMAIN_START = re.compile(r"(?<![\w@.])[a-zA-Z0-9-]{2,60}(?:\.[a-zA-Z0-9-]{2,40}){0,3}$")
NETWORK = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)(?:/\d{1,2}\b)?")
HARDWARE = re.compile(
    r"(?<![\w:.-])(?:(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}"
    r"|(?:[0-9a-f]{1,4}:){1,6}:[0-9a-f]{0,4}(?::[0-9a-f]{1,4}){0,5})(?![\w:])",
    re.IGNORECASE,
)
HEXADECIMAL = re.compile(
    r":[0-9a-fA-F]{0,4}:[0-9a-fA-F]{0,4}:|::|-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-"
)
PHONE = re.compile(
    r"(?<![\w.])(?:\+\s?\d[\d \t().\-/]{5,20}\d|(?:\d{1,3}[\s.-]?)?\(\d{2,5}\)[\s.-]{0,3}\d[\d \t.\-]{3,14}\d"
    r"|(?:\d{1,3}[\s.-])?\d{3}[\s.-]{1,3}\d{3}[\s.-]{1,3}\d{4}|\d{3}-\d{4}"
    r"|0\d{1,4}(?:[\s/-]\d{3,8}(?:[\s-]\d{2,6}){0,3}|(?:[\s/-]\d{2}){2,4})"
    r"|\d{3}[ -]\d{3}[ -]\d{3}(?![ -]?\d)|\d{3}\s\d{4}(?!\s?\d))"
    r"(?:\s{0,2}(?:x|ext\.?|extension|#)\s{0,2}\d{1,6})?(?![\d%])(?!-\d)",
    re.IGNORECASE,
)
TOLD_PHONE = re.compile(
    r"\b(?:phone|telephone|tel|cell(?:ular)?|mobile|fax|pager|beeper|contact"
    r"|call(?:ed)?(?:\s+me)?(?:\s+(?:at|on))?|reach(?:ed|able)?(?:\s+\w+)?\s+(?:at|on)|text(?:ed)?|ph"
    r"|number|answering|extension|ext|dial|sms|whatsapp|voicemail|line)"
    r"\b[\s.:#]{0,4}(?:(?:no|number|is|at|on|to|are|was)\b[\s.:#]{0,3}){0,2}(?P<value>\+?\(?\d[\d \t().\-/]"
    r"{2,20}\d)(?!\s?(?:%|mg|ml|pm|am|a\.m|p\.m|times|days|weeks|hours|minutes|:))",
    re.IGNORECASE,
)
SSN = re.compile(r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])")
CARD = re.compile(r"(?<![\w.-])(?:\d{4}[ -]){3}\d{1,7}(?![\w-])|(?<![\w.-])\d{4}[ -]\d{6}[ -]\d{5}(?![\w-])")
INSURANCE = re.compile(r"\b[A-Z]{2}(?: ?\d\d){3} ?[A-D]\b")
PLATE = re.compile(
    r"\b(?i:licen[cs]e\splate|number\splate|plates?|registration)\b\s?(?i:#|no\.?|number|is|:)?\s?"
    r"(?P<value>(?:[A-Z]{2}\s)?[A-Z0-9]{1,4}[ -]?[A-Z0-9]{2,5})\b"
)
IBAN = re.compile(r"\b[A-Z]{2}\d{2}\s?(?:[A-Z0-9]{4}\s?){2,7}[A-Z0-9]{0,4}\b")
TOLD = re.compile(
    r"\b(?:mrns?|mr\s?#|medical\s+record|record|chart|account|acct|accession|report|specimen|sample"
    r"|encounter|visit|case|claim|policy|member(?:ship)?|subscriber|group|insurance|health\s+plan"
    r"|beneficiary|medicare|medicaid|license|licence|lic|dea|npi|ssn|social\s+security|passport"
    r"|id(?:entifier|entification|entity)?|identity\s+(?:was\s+)?(?:confirmed|verified"
    r"|checked)(?:\s+(?:with|by|using))?|patient|pt|nhs|hospital|unit|registration|certificate|cert|serial"
    r"|device|lot|model|pacemaker|implant|plate|vehicle|vin|tag|badge|employee|student|staff|professional"
    r"|provider|order|req(?:uisition)?|ref(?:erence)?|file|confirmation|invoice|card|cc|routing|iban|pin"
    r"|study|protocol|job|room|rm|bed|driver['’]?s?\s+licen[cs]e|tracking|box)"
    r"\b(?:\s*(?:#|no\.?|nos\.?|num(?:ber)?s?|id|code|nr\.?|(?:is"
    r"|was)(?=\s))){0,3}\s{0,3}[:=#.]{0,2}\s{0,3}(?P<value>[A-Z]{0,5}[-_/ ]?\d[A-Z0-9_/-]{1,30}(?: \d{2,8}"
    r"){0,4})(?![\w%]|\.\d)",
    re.IGNORECASE,
)
HASHED = re.compile(r"#\s?(?P<value>[A-Z]{0,3}-?\d[\w-]{3,30})", re.IGNORECASE)
LONG_DIGITS = re.compile(
    r"(?<![\w.,/$€£-])\d{6,40}(?:[-/]\d{1,6})?(?![\w%]|[.,]\d|\s?(?:/|per\b|cells?\b|copies|iu\b|units?\b"
    r"|mg\b|mcg\b|ml\b|cfu\b|[x×]\s?10|platelets|steps|dollars|cfu/ml|k/))",
    re.IGNORECASE,
)
MIXED = re.compile(
    r"(?<![\w./-])(?=[A-Z0-9-]{6,40}(?![\w-]))(?=(?:[A-Z-]*\d){4})(?=\d*-?[A-Z]"
    r"|\d+-\d+-)[A-Z0-9]+(?:-[A-Z0-9]+){0,5}(?![\w-]|\.\d)"
)
GROUPED = re.compile(r"(?<![\w.,/-])\d{2,6}(?:-\d{2,9}){2,6}(?![\w-]|\.\d)")
UNIT_ENDINGS = re.compile(
    r"\d+(?:mg|mcg|ml|mm|cm|kg|iu|meq|units?|hz|kcal|mmhg|bpm|mmol|k)\b",
    re.IGNORECASE,
)
COUNTING = said_to_be("counting")


def find_numbers(text: str) -> Iterator[Span]:
    """Everything of the net, phones and person's numbers in a text."""
    yield from _net(text)
    yield from _phones(text)
    yield from (Span(*m.span(), Kind.NUMBER, "social security", SURE) for m in SSN.finditer(text))
    yield from (Span(*m.span(), Kind.NUMBER, "card", SURE) for m in CARD.finditer(text))
    for found in PLATE.finditer(text) if "late" in text or "egistration" in text else ():
        if any(c.isdigit() for c in found.group("value")):
            yield Span(*found.span("value"), Kind.NUMBER, "number plate", LIKELY)
    yield from (Span(*m.span(), Kind.NUMBER, "national insurance", SURE) for m in INSURANCE.finditer(text))
    yield from (
        Span(*m.span(), Kind.NUMBER, "bank account", SURE)
        for m in IBAN.finditer(text)
        if _digits(m.group()) > 5
    )
    for found in TOLD.finditer(text):
        yield from _told(found)
    for found in HASHED.finditer(text):
        yield Span(*found.span("value"), Kind.NUMBER, "number sign", LIKELY)
    yield from (Span(*m.span(), Kind.NUMBER, "long number", LIKELY) for m in LONG_DIGITS.finditer(text))
    yield from (Span(*m.span(), Kind.NUMBER, "grouped number", LIKELY) for m in GROUPED.finditer(text))
    for found in MIXED.finditer(text):
        if not UNIT_ENDINGS.fullmatch(found.group()):
            yield Span(*found.span(), Kind.NUMBER, "letters and digits", LIKELY)


def _net(text: str) -> Iterator[Span]:
    """E-mail, web and net addresses, each looked for from the sign that gives it away."""
    at = text.find("@")
    while at >= 0:
        name = EMAIL_NAME.search(text, max(0, at - 90), at)
        place = EMAIL_PLACE.match(text, at + 1)
        if name and place:
            yield Span(name.start(), place.end(), Kind.EMAIL, "e-mail", SURE)
        at = text.find("@", at + 1)
    yield from (Span(*m.span(), Kind.URL, "web address", SURE) for m in URL.finditer(text))
    for found in DOMAIN_END.finditer(text):
        start = DOMAIN_START.search(text, max(0, found.start() - 120), found.start())
        if start is not None:
            yield Span(start.start(), found.end(), Kind.URL, "web address", SURE)
    patterns = (NETWORK, HARDWARE) if HEXADECIMAL.search(text) else (NETWORK,)
    for pattern in patterns:
        yield from (
            Span(*m.span(), Kind.NETWORK, "net address", LIKELY)
            for m in pattern.finditer(text)
            if _is_net(m.group())
        )


def _phones(text: str) -> Iterator[Span]:
    for found in PHONE.finditer(text):
        if 7 <= _digits(found.group()) <= 20:
            yield Span(*found.span(), Kind.PHONE, "phone", SURE)
    for found in TOLD_PHONE.finditer(text):
        if 4 <= _digits(found.group("value")) <= 18:
            yield Span(*found.span("value"), Kind.PHONE, "told to be a phone", LIKELY)


def _told(found: re.Match[str]) -> Iterator[Span]:
    """What a label calls a number; a short one after a word that also counts things needs a sign between."""
    value = found.group("value")
    if UNIT_ENDINGS.fullmatch(value):
        return
    between = found.group()[: -len(value)].lower()
    word = between.split()[0].strip(":#.=") if between.split() else ""
    signed = any(sign in between for sign in "#:=") or re.search(r"\b(?:no|num|number|id|code|is)\b", between)
    if (word in COUNTING or "/" in value) and not signed:
        return
    if _digits(value) < 3 and word in COUNTING:
        return
    yield Span(*found.span("value"), Kind.NUMBER, "told to be a number", LIKELY if signed else EVEN)


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _is_net(text: str) -> bool:
    """Four bytes, or colons enough that it is no time of day."""
    if "." in text:
        return all(int(part) < 256 for part in text.partition("/")[0].split("."))
    return text.count(":") + text.count("-") > 3 or ("::" in text and len(text) > 4)
