"""One HL7 v2 message through a policy: segment by segment, field by field; what is not named stays out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from salus.deidentify.field_books import Fate
from salus.deidentify.known_patient import known_pid
from salus.deidentify.omop_names import PATIENT
from salus.deidentify.passing import NOBODYS, Fated, Passing, Whose
from salus.deidentify.policy import Action, Rule
from salus.formats.hl7v2 import SEGMENT_END, field_of, unescape
from salus.formats.hl7v2_patient import patient_key


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEAD = "MSH|^~\\&"
UTF_8 = "UNICODE UTF-8"
PATIENT_FIELDS = {("PID", 3), ("MRG", 1)}
KINDS = {("ORC", 2): "placer", ("OBR", 2): "placer", ("ORC", 3): "filler", ("OBR", 3): "filler"}
"""Numbers that stand in several places and must stay the same."""
TYPES = _words(
    "ADT ORU ORM OML OMG OMP OMI OMS OMD OMN RDE RDS RAS RGV RRE ORR ORL VXU VXR VXQ SIU MDM DFT BAR REF PPR PEX CRM"
    " CSU QBP RSP QRY ADR ACK MFN RDY SRM SRR EHC OUL RPA RQA PC1 PGL PPG PTR"
)
"""Kinds of messages that are counted by their name; any other could be a word of the sender's own."""
SEGMENTS = _words(
    "SFT PD1 NK1 PV2 ROL DB1 ACC UB1 UB2 GT1 IN1 IN2 IN3 ARV CTD NTE FT1 CTI TXA SCH RGS AIS AIG AIP AIL TQ1 TQ2 SPM"
    " SAC RXA RXR RXC RXE RXO RXD RXG OBR OBX ORC AL1 DG1 PR1 EVN MRG PDA IAM DRG MSA ERR PRT PRB GOL PTH VAR"
)
"""Segments that are counted by their name where they stay out."""
CODES, WORDS = (0, 2, 3, 5), (1, 4, 8)
"""Components of a coded field: codes with their systems, and the words beside them."""
NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,10})?|\.\d{1,10})", re.ASCII)
STRUCTURED = re.compile(
    r"(?:<|>|<=|>=|=|<>)?(?:\^[+-]?\d{0,15}(?:\.\d+)?(?:\^[-+/.:]?(?:\^[+-]?\d{0,15}(?:\.\d+)?)?)?)?",
    re.ASCII,
)
CODED_TYPES, DATE_TYPES = ("CE", "CWE", "CNE", "CF", "IS", "ID"), ("DT", "TS", "DTM")
VALUE_TYPES = _words(
    "AD CE CF CK CN CNE CP CWE CX DR DT DTM ED EI FC FT GTS HD ID IS JCC MA MO NA NM NR OG PL PN RI RP SCV SN SPD ST TM"
    " TN TS TX VH XAD XCN XON XPN XTN"
)
"""What OBX-2 may say; any other could be a word of the sender's own."""
TEXT_TYPES = ("ST", "TX", "FT")
YEARS = frozenset({"a", "yr", "y", "year", "years", "yrs", "Years", "YR", "YEARS"})


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """What becomes of one field: as a whole, or of its components by their numbers."""

    number: int
    whole: Rule | None = None
    parts: Mapping[int, Rule] = field(default_factory=dict)


def plans_of(lines: Mapping[str, Rule]) -> dict[int, FieldPlan]:
    """The lines of one segment, by field."""
    plans: dict[int, FieldPlan] = {}
    for place, rule in lines.items():
        number, _, component = place.partition(".")
        plan = plans.get(int(number), FieldPlan(int(number)))
        parts = {**plan.parts, int(component): rule} if component else plan.parts
        plans[plan.number] = replace(plan, parts=parts, whole=plan.whole if component else rule)
    return plans


def kind_of(text: str) -> str:
    """What a message is counted as.

    >>> kind_of("MSH|^~|LAB|||||" + "|ORU^R01")
    'ORU'
    """
    told = field_of(text.split(SEGMENT_END, 1)[0], 9).split("^")[0]
    return told if told in TYPES else "message"


class Hl7v2Records:
    """Lets messages pass, each as text in standard delimiters."""

    def __init__(self, passing: Passing) -> None:
        self.passing = passing
        self.plans = {segment: plans_of(lines) for segment, lines in passing.policy.hl7v2.items()}

    def passed(self, text: str) -> str | None:
        """The message as it may pass; None where it names no patient."""
        segments = [one for one in text.split(SEGMENT_END) if one.strip()]
        pids = [one for one in segments if one.startswith("PID|")]
        people = [self._whose(pid) for pid in pids]
        if not people or any(not one.number for one in people):
            return None
        out, whose, next_pid = list[str](), people[0], 0
        for segment in segments:
            if segment.startswith("PID|"):
                whose, next_pid = people[next_pid], next_pid + 1
            told = self._segment(segment, whose)
            if told:
                out.append(told)
        return SEGMENT_END.join(_with_character_set(out)) + SEGMENT_END

    def _whose(self, pid: str) -> Whose:
        key = patient_key(field_of(pid, 3), field_of(pid, 2), field_of(pid, 4))
        if key is None:
            return NOBODYS
        whose = self.passing.whose(key.rpartition("|")[2])
        return replace(whose, known=known_pid(pid)) if self.passing.wants_known else whose

    def _segment(self, segment: str, whose: Whose) -> str:
        name, books = segment[:3], self.passing.books
        plans = self.plans.get(name)
        if plans is None:
            books.add(f"{name} segment" if name in SEGMENTS else "another segment", Fate.REMOVED)
            return ""
        fields = ["", "", "", *segment.split("|")[2:]] if name == "MSH" else ["", *segment.split("|")[1:]]
        told = [""] * len(fields)
        for number, given in enumerate(fields):
            if not given:
                continue
            plan = plans.get(number)
            if plan is None:
                books.add(f"{name}-{number}", Fate.REMOVED)
            else:
                told[number] = self._field(name, plan, (given, fields), whose)
        if name == "PID" and 3 in plans and plans[3].parts:
            told = self._numbered(told, whose)
        if name == "PID":
            self._note(fields, told, whose)
        if name == "MSH":
            return "|".join([HEAD, *told[3:]]).rstrip("|") if len(told) > 3 else HEAD
        return "|".join([name, *told[1:]]).rstrip("|") if any(told) else ""

    def _numbered(self, told: list[str], whose: Whose) -> list[str]:
        """A patient's number stands in PID-3, wherever an older version had it."""
        if not told[3:4] or not told[3]:
            told = [*told, *[""] * (4 - len(told))]
            told[3] = self.passing.pseudonym(PATIENT, whose.number)
            self.passing.books.add("PID-3.1", Fate.PSEUDONYM)
        return told

    def _note(self, given: list[str], told: list[str], whose: Whose) -> None:
        if len(told) > 8 and told[8] and self.passing.loses("sex", whose):
            told[8] = ""
        self.passing.note_quasi(whose, _quasi(given), _quasi(told))

    def _field(self, segment: str, plan: FieldPlan, given: tuple[str, list[str]], whose: Whose) -> str:
        text, fields = given
        if plan.whole is not None and plan.whole.action is Action.BY_TYPE:
            told = [self._by_type(one, fields, whose) for one in text.split("~")]
        elif plan.whole is not None:
            place = (segment, plan.number, 0)
            told = [
                self._entered(place, self._value(one, plan.whole.action, place, whose))
                for one in text.split("~")
            ]
        else:
            told = [self._parts(segment, plan, one, whose) for one in text.split("~")]
        return "~".join(told).strip("~")

    def _parts(self, segment: str, plan: FieldPlan, text: str, whose: Whose) -> str:
        """The named components of one repetition; of a patient's numbers only the one that names them for good."""
        parts = text.split("^")
        if (segment, plan.number) in PATIENT_FIELDS:
            key = patient_key(text)
            mine = key is not None and (segment == "MRG" or key.rpartition("|")[2] == whose.number)
            if not mine:
                self.passing.books.add(f"{segment}-{plan.number}", Fate.REMOVED)
                return ""
        told = [""] * len(parts)
        for place, part in enumerate(parts, start=1):
            if not part:
                continue
            rule = plan.parts.get(place)
            where = (segment, plan.number, place)
            told[place - 1] = self._entered(
                where, self._value(part, rule.action, where, whose) if rule else (None, Fate.REMOVED)
            )
        return "^".join(told).rstrip("^")

    def _entered(self, place: tuple[str, int, int], told: Fated) -> str:
        segment, number, component = place
        self.passing.books.add(f"{segment}-{number}" + (f".{component}" if component else ""), told[1])
        return told[0] or ""

    def _value(self, text: str, action: Action, place: tuple[str, int, int], whose: Whose) -> Fated:
        passing = self.passing
        if action is Action.KEEP:
            strange = place == ("OBX", 2, 0) and text not in VALUE_TYPES
            return (None, Fate.REMOVED) if strange else (text, Fate.KEPT)
        if action is Action.DATE:
            return passing.policy.rules.dates.hl7(text.split("^")[0], whose.shift)
        if action is Action.BIRTH_DATE:
            return passing.birth_date(text.split("^")[0], whose, hl7=True)
        if action is Action.POSTCODE:
            return passing.postcode(text.split("&")[0], whose)
        if action is Action.TEXT:
            return self._text(text, whose)
        if action is Action.CODED:
            return self._coded(text, whose)
        if action is Action.PSEUDONYM:
            number = unescape(text.split("^")[0]).strip()
            return passing.pseudonym(_pseudonym_kind(place), number), Fate.PSEUDONYM
        return None, Fate.REMOVED

    def _text(self, text: str, whose: Whose) -> Fated:
        told, fate = self.passing.text(unescape(text), whose)
        return (escape(told) if told else None), fate

    def _coded(self, text: str, whose: Whose) -> Fated:
        """Codes and their systems; the words beside them, and what has blanks and so is no code, as free text."""
        told = list[str]()
        for place, part in enumerate(text.split("^")):
            if place in CODES and not re.search(r"[\s\\]", part):
                told.append(part)
            elif place in (*CODES, *WORDS) and part:
                told.append(self._text(part, whose)[0] or "")
            else:
                told.append("")
        passed = "^".join(told).rstrip("^")
        return passed or None, Fate.KEPT if passed else Fate.REMOVED

    def _by_type(self, text: str, fields: list[str], whose: Whose) -> str:
        """OBX-5 as OBX-2 says."""
        kind = fields[2] if len(fields) > 2 else ""
        told: Fated = (None, Fate.REMOVED)
        if kind == "NM" and NUMBER.fullmatch(text.strip()):
            unit = fields[6].split("^")[0] if len(fields) > 6 else ""
            old = unit in YEARS and self.passing.age(text.strip())[1] is Fate.GENERALISED
            told = (None, Fate.REMOVED) if old else (text, Fate.KEPT)
        elif kind == "SN" and STRUCTURED.fullmatch(text):
            told = text, Fate.KEPT
        elif kind in CODED_TYPES:
            told = self._coded(text, whose)
        elif kind in DATE_TYPES:
            told = self.passing.policy.rules.dates.hl7(text.split("^")[0], whose.shift)
        elif kind == "TM" and re.fullmatch(r"\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?", text):
            told = self.passing.time_of_day(text)
        elif kind in TEXT_TYPES:
            told = self._text(text, whose)
        name = kind if kind in ("NM", "SN", "TM", *CODED_TYPES, *DATE_TYPES, *TEXT_TYPES) else "another type"
        self.passing.books.add(f"OBX-5 ({name})", told[1])
        return told[0] or ""


def escape(text: str) -> str:
    r"""A text as it may stand in a field.

    >>> escape("a|b\nc")
    'a\\F\\b\\.br\\c'
    """
    marks = {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "~": "\\R\\",
        "&": "\\T\\",
        "\n": "\\.br\\",
        "\r": "\\.br\\",
    }
    return "".join(marks.get(letter, letter) for letter in text)


def _pseudonym_kind(place: tuple[str, int, int]) -> str:
    segment, number, _ = place
    return (
        PATIENT
        if (segment, number) in PATIENT_FIELDS
        else KINDS.get((segment, number), f"{segment}-{number}")
    )


def _quasi(fields: list[str]) -> dict[str, object]:
    told = [*fields, *[""] * 12]
    address = [*told[11].split("~")[0].split("^"), *[""] * 5]
    return {"sex": told[8], "birth_year": told[7][:4], "postcode": address[4]}


def _with_character_set(segments: list[str]) -> Iterator[str]:
    """What is not ASCII is UTF-8, and MSH-18 says so."""
    plain = all(one.isascii() for one in segments)
    for segment in segments:
        if segment.startswith(HEAD) and not plain:
            fields = segment.split("|")
            fields += [""] * (18 - len(fields))
            fields[17] = UTF_8
            segment = "|".join(fields)
        yield segment
