"""Every attribute of a file meets its fate: none is passed over, and nested ones are treated as those at the top."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from pydicom.datadict import dictionary_keyword, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from salus.deidentify.dicom import profile, values
from salus.deidentify.dicom.codes import is_code, pass_code
from salus.deidentify.dicom.opening import text_of
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.dicom.profile import Action
from salus.deidentify.dicom.refusal import Refusal, refuse
from salus.deidentify.dicom.told import Told
from salus.deidentify.field_books import Fate, FieldBooks
from salus.deidentify.key import Key

DEEPEST = 24
PIXELS = 0x7FE0
CREATORS = range(0x10, 0x100)
WELL_KNOWN = re.compile(r"(1\.2\.840\.10008|2\.16\.840\.1\.113883\.6)\.[0-9.]{1,44}")
"""UIDs that the standard and the registry of code systems give away: they name kinds, never patients."""
UID = values.FORMS["UI"]
Creators = dict[tuple[int, int], str]
"""Who made which block of private elements, by group and block."""


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute before its fate. ``text``: the value as text, without padding."""

    tag: BaseTag
    vr: str
    text: str
    length: int


@dataclass(frozen=True, slots=True)
class Around:
    """Where a data set stands: in which sequences, whether its codes are replaced too, how deep."""

    place: str = ""
    masked: bool = False
    depth: int = 0


TOP = Around()


@dataclass(frozen=True, slots=True)
class HeaderPass:
    """What a file's attributes pass through. ``shift``: None where dates do not move."""

    key: Key
    options: DicomOptions
    shift: timedelta | None
    told: Told
    books: FieldBooks

    def treat(self, item: Dataset, around: Around = TOP) -> None:
        """Treat all attributes in place. Raises ImageRefused (SAL-186)."""
        if around.depth > DEEPEST:
            raise refuse(Refusal.TOO_DEEP)
        done = {}
        if is_code(item):
            done = pass_code(item, key=self.key, told=self.told, masked=around.masked)
            for tag, fate in done.items():
                self.books.add(around.place + name_of(BaseTag(tag)), fate)
        creators = self._creators(item)
        for tag in sorted(item.keys()):
            if tag in done or (around.depth == 0 and tag.group == PIXELS):
                continue
            if tag.is_private:
                self._private(item, tag, around, creators)
            else:
                self._standard(item, tag, around)

    def _standard(self, item: Dataset, tag: BaseTag, around: Around) -> None:
        name = around.place + name_of(tag)
        vr = standard_vr(item, tag)
        drawn = tag.group >> 8 in profile.CURVES_AND_OVERLAYS or tag.group == PIXELS
        if vr is None or drawn or tag.element == 0:
            self._lose(item, tag, name)
            return
        action, otherwise = profile.actions(self.options).get(tag) or (profile.unlisted(tag, vr),) * 2
        if vr == "SQ":
            masked = around.masked or action is Action.WALK_MASKED
            self._sequence(item, tag, action, Around(f"{name}.", masked, around.depth + 1))
            return
        one = Element(tag, vr, text_of(item, tag), _length(item, tag))
        if action is Action.PHRASE:
            action = Action.KEEP if one.text in self.options.descriptions else otherwise
        self._one(item, one, name, action)

    def _sequence(self, item: Dataset, tag: BaseTag, action: Action, inside: Around) -> None:
        """A sequence: its items one by one, or none of them."""
        name = inside.place.removesuffix(".")
        if action is Action.EMPTY:
            self.books.add(name, Fate.REMOVED)
            item[tag] = DataElement(tag, "SQ", [])
        elif action in (Action.WALK, Action.WALK_MASKED) and isinstance(item[tag].value, Sequence):
            for inner in item[tag].value:
                self.treat(inner, inside)
        else:
            self._lose(item, tag, name)

    def _one(self, item: Dataset, one: Element, name: str, action: Action) -> None:
        """One attribute that is no sequence."""
        if action is Action.REMOVE:
            self._lose(item, one.tag, name)
        elif not one.length:
            return
        elif action is Action.UID or (action is Action.KEEP and one.vr == "UI"):
            self._uid(item, one, name, is_kept=action is Action.KEEP)
        elif action is Action.SHIFT:
            self._time(item, one, name)
        elif action is Action.KEEP:
            self._keep(item, one, name)
        else:
            put(item, one.tag, one.vr, "" if action is Action.EMPTY else self._dummy(one))
            self.books.add(name, Fate.REMOVED)

    def _keep(self, item: Dataset, one: Element, name: str) -> None:
        """Keep what is of its type and says nothing of the patient."""
        if one.vr == "CS" and (told := self._code_string(one.text)) != one.text:
            put(item, one.tag, one.vr, told)
            self.books.add(name, Fate.SCRUBBED)
            return
        if one.vr == "AS" and (older := values.age(one.text)) != one.text:
            put(item, one.tag, one.vr, older)
            self.books.add(name, Fate.GENERALISED)
            return
        if one.vr in values.SIZES:
            fits = values.fits_multiplicity(one.vr, _multiplicity(one.tag), one.length)
        elif one.tag in profile.BULK:
            fits = True
        else:
            fits = values.is_of(one.vr, one.text) and not self._tells(one)
        if fits:
            self.books.add(name, Fate.KEPT)
        elif one.vr in profile.TEXT_VRS:
            put(item, one.tag, one.vr, self._dummy(one))
            self.books.add(name, Fate.REMOVED)
        else:
            self._lose(item, one.tag, name)

    def _code_string(self, text: str) -> str:
        parts = values.code_string(text).split("\\")
        return "\\".join(values.DUMMY_TEXT if self.told.is_in(part) else part for part in parts)

    def _tells(self, one: Element) -> bool:
        """Whether a kept value says who the patient is; a number does where it is the very number of a patient."""
        if one.vr in profile.NUMBER_VRS:
            return any(part.strip().casefold() in self.told.words for part in one.text.split("\\"))
        return one.vr in profile.TEXT_VRS and self.told.is_in(one.text)

    def _uid(self, item: Dataset, one: Element, name: str, *, is_kept: bool) -> None:
        parts = one.text.split("\\")
        told = [
            part
            if WELL_KNOWN.fullmatch(part) or not part or (is_kept and UID.fullmatch(part) and len(part) <= 64)
            else self.key.uid(part)
            for part in parts
        ]
        if told != parts:
            put(item, one.tag, "UI", "\\".join(told))
        self.books.add(name, Fate.KEPT if told == parts else Fate.PSEUDONYM)

    def _time(self, item: Dataset, one: Element, name: str) -> None:
        """A date or time by the patient's shift; what is none, or may not stay, becomes a dummy."""
        if self.shift is None:
            is_whole = self.options.dates.value == "keep" and values.is_of(one.vr, one.text)
            moved = one.text if is_whole else None
        else:
            moved = values.shifted(one.vr, one.text, self.shift)
        put(item, one.tag, one.vr, self._dummy(one) if moved is None else moved)
        if moved is None:
            self.books.add(name, Fate.REMOVED)
        else:
            self.books.add(name, Fate.KEPT if moved == one.text else Fate.SHIFTED)

    def _dummy(self, one: Element) -> str | bytes:
        if one.vr == "UI":
            return self.key.uid(one.text)
        return values.DUMMIES.get(one.vr, b"\0\0" if one.vr.startswith(("O", "UN")) else "")

    def _lose(self, item: Dataset, tag: BaseTag, name: str) -> None:
        del item[tag]
        self.books.add(name, Fate.REMOVED)

    def _creators(self, item: Dataset) -> Creators:
        """Who made which block of private elements."""
        return {
            (tag.group, tag.element): text_of(item, tag)
            for tag in item.keys()  # noqa: SIM118 -- iterating a data set would read its elements
            if tag.is_private and tag.element in CREATORS
        }

    def _private(self, item: Dataset, tag: BaseTag, around: Around, creators: Creators) -> None:
        """A private element goes unless the policy names its creator and number."""
        name = f"{around.place}private group {tag.group:04X}"
        safe = self.options.safe_private
        if tag.element in CREATORS:
            block = tag.element << 8
            named = any(
                one.creator == creators[tag.group, tag.element]
                and one.group == tag.group
                and (one.group << 16 | block | one.element) in item
                for one in safe
            )
        else:
            creator = creators.get((tag.group, tag.element >> 8), "")
            named = any(
                (one.creator, one.group, one.element) == (creator, tag.group, tag.element & 0xFF)
                for one in safe
            )
        if not named:
            self._lose(item, tag, name)
        elif isinstance(item[tag].value, Sequence):
            for inner in item[tag].value:
                self.treat(inner, Around(f"{name}.", around.masked, around.depth + 1))
        else:
            self.books.add(name, Fate.KEPT)


def put(item: Dataset, tag: int, vr: str, value: str | bytes) -> None:
    """Set a value, whatever pydicom thinks of it."""
    item[tag] = DataElement(tag, vr, value)


def name_of(tag: BaseTag) -> str:
    """The place of an attribute as books and pages name it.

    >>> name_of(BaseTag(0x00100010)), name_of(BaseTag(0x00100FFE))
    ('PatientName', 'unknown (0010,0FFE)')
    """
    try:
        return dictionary_keyword(tag) or f"({tag.group:04X},{tag.element:04X})"
    except KeyError:
        return f"unknown ({tag.group:04X},{tag.element:04X})"


def standard_vr(item: Dataset, tag: BaseTag) -> str | None:
    """The type of a value: what the file says where the standard allows it; None where nobody knows it."""
    try:
        allowed = dictionary_VR(tag).split(" or ")
    except KeyError:
        return None
    said = item.get_item(tag).VR
    if said in (None, "UN"):
        return allowed[0]
    if said in allowed or _family(said) == _family(allowed[0]):
        return str(said)
    return None


def _family(vr: str) -> str:
    """Types that may stand in for each other in old files."""
    kinds = {"text": profile.TEXT_VRS - {"PN"}, "number": profile.NUMBER_VRS, "bulk": {"OB", "OW"}}
    return next((name for name, kind in kinds.items() if vr in kind), vr)


def _multiplicity(tag: BaseTag) -> str:
    try:
        return dictionary_VM(tag)
    except KeyError:
        return ""


def _length(item: Dataset, tag: BaseTag) -> int:
    element = item.get_item(tag)
    if isinstance(element, RawDataElement):
        return len(element.value or b"")
    if isinstance(element.value, bytes | str):
        return len(element.value)
    return element.VM * values.SIZES.get(element.VR, 1)
