"""Streets, boxes, towns, states and postcodes, and the fields of a form that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from salus.deidentify.text.lists import Lists, plain
from salus.deidentify.text.spans import EVEN, LIKELY, SURE, Kind, Span
from salus.deidentify.text.vocabulary import STATES, said_to_be
from salus.deidentify.text.written_dates import DAY_FIRST
from salus.deidentify.text.written_words import Word

STATE_CODE = (
    r"(?:A[AEKLPRSZ]|C[AOT]|D[CE]|F[LM]|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEHINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]"
    r"|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY])"
)
STREET_WORD = (
    r"(?:street|str?|avenue|aven?|road|rd|boulevard|blvd|lane|ln|drive|drv?|court|crt|ct|place|plaza|plz|p"
    r"l|square|sq|terrace|terr?|trail|trl|tr|parkway|pkwy"
    r"|circle|cir|highway|hwy|route|rte|way|alley|aly|crescent|cres|close|row|walk|loop|pike|turnpike|tpke"
    r"|expressway|expy|freeway|fwy|causeway|cswy|bypass"
    r"|crossing|xing|landing|hollow|ridge|run|path|mews|quay|esplanade|broadway|heights|hts|gardens|gdns"
    r"|grove|hill|bend|cove|point|pt|park|bridge|broadway)"
)
CAPITALISED = r"(?:[^\W\d_a-z][\w'’.&-]{0,40}|\d{1,4}(?:st|nd|rd|th)|de|la|las|los|del|du|des|van|der|of|the)"
STREET = re.compile(
    rf"(?<![\w.,/])(?:[NSEW]\s?)?\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,4}})?,?\s{{1,2}}(?:(?:[NSEW]{{1,2}}|North"
    rf"|South|East|West|Old|Upper|Lower)\.?\s)?(?:{CAPITALISED}[ ,]{{1,2}}){{0,5}}?(?i:{STREET_WORD})\b\.?("
    rf"?:\s(?:[NSEW]{{1,2}}|North|South|East|West)\b\.?)?(?:\s\d{{1,5}}\b(?!\s?(?:mg|ml|y)))?"
)
SMALL_STREET = re.compile(
    r"(?<![\w.,/])\d{1,6}\s(?:[^\W\d_][\w'’.-]{1,30}\s){1,4}(?:street|avenue|road|boulevard|blvd|lane|driv"
    r"e|terrace|parkway|highway|ave|rd)\b\.?",
    re.IGNORECASE,
)
NAMED_STREET = re.compile(
    rf"\b(?:(?:the\s)?corner\sof\s)?(?:{CAPITALISED}\s){{1,4}}(?:Street|Avenue|Road|Boulevard|Blvd|Lane"
    rf"|Drive|Terrace|Parkway|Highway|Square|Ave|Rd)\b\.?"
    rf"|\b(?:Highway|Hwy|Route|Rte|Interstate|County\sRoad|State\sRoad"
    rf"|FM)\s(?:[A-Z]{{1,2}}[- ]?)?\d{{1,4}}[A-Z]?\b|\bI-\d{{1,3}}\b(?=\s(?:and|near|exit|N|S|E|W|north"
    rf"|south|east|west)\b)"
)
BOX = re.compile(
    r"\b(?:P\.?\s?O\.?\s?(?:Box|Bx)|Post(?:al)?\s?(?:Office\s)?Box|Postbox)\s?#?\s?\d{1,6}\b"
    r"|\b(?:PSC|HC|RR|CMR|Unit)\s?#?\s?\d{1,6},?\sBox\s\d{1,6}\b",
    re.IGNORECASE,
)
ROOM = re.compile(
    r"\b(?:apt|apartment|suite|ste|unit|flat|bldg|building|floor|lot|trailer|space)\b\.?\s?(?:#"
    r"|no\.?)?\s?(?:\d{1,5}[A-Z]?|[A-Z]\d{0,4})\b(?!\s*(?:mg|ml|of|units))",
    re.IGNORECASE,
)
STATE_ZIP = re.compile(rf"\b{STATE_CODE}\.?,?\s{{1,3}}\d{{5}}(?:-\d{{4}})?\b")
TOWN_STATE = re.compile(
    rf"(?<!\w)(?:[^\W\d_a-z][\w'’.-]{{1,30}}\s){{0,3}}[^\W\d_a-z][\w'’.-]{{1,30}},\s?{STATE_CODE}\b(?!\s*[/"
    rf"%])"
)
UK_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b")
CANADA_POSTCODE = re.compile(r"\b[ABCEGHJ-NPRSTVXY]\d[A-Z]\s\d[A-Z]\d\b")
ZIP_TOLD = re.compile(
    r"\b(?:zip(?:\s?code)?|postal\s?code|post\s?code|postcode)(?:\s+(?:is"
    r"|of))?[\s:#=]{1,3}(?P<value>[A-Z0-9]{2,8}(?:[ -][A-Z0-9]{3,4})?)",
    re.IGNORECASE,
)
FOREIGN_STREET = re.compile(
    r"\b(?:[Rr]ue|Vicolo|Viale|Calle|Avenida|Avda|Paseo|Camino|Carrer|C/|R[uú]a|Travessa|Pra[cç]a|Strada"
    r"|Piazza|Ulica|ul|Chemin|All[ée]e|Quai|Plass|Rambla)\b\.?"
    r"(?:\s(?:[^\W\d_a-zà-ÿ][\w'’.-]*|d[aeiou]s?|del|la|las|los|des|du|do)){1,6}(?:,?\s\d{1,5}\w?\b)?"
    r"|\b(?:Via|Corso|Platz|Boulevard)(?:\s(?:[^\W\d_a-zà-ÿ][\w'’.-]*|d[aeiou]s?|del|la|des"
    r"|du)){1,5},?\s\d{1,5}\w?\b"
)
STREET_ENDING = re.compile(
    r"(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|straat|laan|plein|gat[ae]n?|v[äe]gen|vej|gade|katu|tie"
    r"|veien|kade|dreef)\s\d{1,4}[a-z]?\b"
)
SMALL_BLOCK = re.compile(
    r"\b(?:address(?:es)?|lives?\s+(?:at|on)|lived\s+(?:at|on)|living\s+(?:at|on)|sent|send|deliver(?:ed)?"
    r"|meet)\b[^.\n\d]{0,40}[\s:](?P<value>\d{1,6}\s[^\n?!]{4,80}?(?:\n[^\n?!.]{0,60}\d{3,6})?)(?=[.?!\n]"
    r"|$)",
    re.IGNORECASE,
)
WENT_TO = re.compile(
    r"\b(?:flew|moved|moving|returned|returning|travel(?:l?ed|l?ing|s)?|went|relocated|drove|commutes?"
    r"|transferred|emigrated|immigrated|fled)\s(?:back\s)?(?:here\s)?(?:to"
    r"|from)\s(?P<to>[^\W\d_A-Z][\w'’-]+|(?:[^\W\d_a-z][\w'’-]*[ -]?){1,4})"
    r"|\b(?:originally|born|raised|grew\s+up|lives?|lived|living|resid(?:es|ed|ing)|stays?|stayed|staying"
    r"|native|resident|citizen)\s(?:from|in|near|outside|of)\s(?:the\s)?(?P<at>[^\W\d_A-Z][\w'’-]+"
    r"|(?:[^\W\d_a-z][\w'’-]*[ -]?){1,4})"
)
TELLING = ("address", "live", "living", "sen", "deliver", "meet")
GOING = said_to_be("going")
WORD_END = re.compile(r"[^\W\d_][\w-]*$")
CORNER = re.compile(
    rf"\b(?i:the\s)?(?i:corner|intersection)\sof\s(?=[^\n,;?!]{{0,80}}(?:\d"
    rf"|[^\W\d_a-z]))[^\n,;?!]{{3,60}}?\s(?:and|&)\s(?:(?:{CAPITALISED}|\d{{1,5}}\w?\.?"
    rf"|[^\W\d_]{{2,30}})(?:\s|(?=[^\w\s])|$)){{1,4}}"
)
PIECE = (
    rf"(?:{CAPITALISED}|ul\.?|u\.?|tér|út|utca|nan|n[ae]d|pod|an|am|im|[a-z]{{1,3}}\."
    rf"|\d{{1,6}}(?:[-/]\d{{1,4}})?[A-Za-z]?\.?)"
)
BLOCK = re.compile(
    rf"(?<![\w.,/])\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,4}})?(?:(?:,?[^\S\n]+|,?\s*\n[\s>?*#"
    rf"|-]*,?\s*){PIECE}(?![\w%])){{1,16}}"
)
DOSE = re.compile(r"\s?(?:mg|mcg|g|ml|l|u|units?|iu|meq|%|mmhg|bpm|tabs?|x|/)\b|\s?[%/]", re.IGNORECASE)
BLOCK_SIGN = re.compile(
    rf"(?i:\b{STREET_WORD}\b|\b(?:apt|suite|ste|unit|flat|box)\b)"
    rf"|[^\W\d_][\s,]{{1,4}}\d{{4,6}}(?:-\d{{3,4}})?\s*$|[a-z]\s\d{{1,4}}[A-Za-z]?\.?\s*(?:\n|$)"
)
TOLD_ADDRESS = re.compile(
    r"\b(?:address(?:es)?|live[sd]?|living|resid(?:es?|ed|ing|ence)|moved|located|offices?|meet|send|sent"
    r"|deliver(?:ed)?|ship(?:ped)?|arrived|house|home|restaurant|is)\b[^.\n\d]{0,40}[\s:]$",
    re.IGNORECASE,
)
ON_FORM = re.compile(
    r"(?:^|[|;\n\t,.]|\s{2})[ ]{0,8}(?:(?:home|billing|mailing|postal|permanent|current|work|patient['’]?s"
    r"?|street|shipping|residential|my|new)\s)?(?P<label>address|residence|location|lives\sat|city|town"
    r"|county|state|country|birthplace|place\sof\sbirth|hometown|municipality|zip|"
    r"organi[sz]ation|hospital|facility|clinic|laboratory|lab|employer|school|pharmacy|practice|institutio"
    r"n|company|insurer|insurance|payer|site|ward\sname|"
    r"occupation|profession|job\stitle|job)\s{0,2}[:=]\s{0,12}(?P<value>[^\n|;\t]{2,160})",
    re.IGNORECASE,
)
NEXT_FIELD = re.compile(r"\s{2,}|\s+[A-Z][\w ]{1,24}:|(?<=[a-z]{3})\.\s+[A-Z]|\s[-–—]\s")
FOLLOWING = re.compile(
    rf"(?:\s*,\s*|\s*\n[\s>?*#|-]*,?\s*|\s+)(?:(?:Apt|Suite|Ste|Unit|Flat|Box|Bldg"
    rf"|Fl)\b\.?\s?#?\s?\w{{1,6}}\.?|[A-Z]{{2,3}}\b|nan\b|[A-Z]?\d{{3,6}}(?:-\d{{3,4}})?\b(?![/%]|\s?(?:mg"
    rf"|ml))|(?:[^\W\d_a-z][\w'’.()-]{{1,30}})(?:\s(?:{CAPITALISED})){{0,4}})"
)
PREPOSITIONS = said_to_be("prepositions")
OF_INSTITUTIONS = (
    "organi", "hospital", "facility", "clinic", "lab", "employer", "school", "pharmacy", "practice", "institution",
    "company", "insur", "payer", "site", "ward",
)  # fmt: skip
KIND_OF_LABEL = ((Kind.PROFESSION, ("occupation", "profession", "job")), (Kind.ORGANISATION, OF_INSTITUTIONS))
NO_ROOMS = ("unit", "floor", "lot", "space", "building")
ABROAD = "street in another language"
STREETS = (
    (STREET, "street", LIKELY),
    (BOX, "post box", LIKELY),
    (STATE_ZIP, "state and postcode", SURE),
    (SMALL_STREET, "street", EVEN),
    (FOREIGN_STREET, ABROAD, EVEN),
)


def find_addresses(text: str) -> Iterator[Span]:
    """Street addresses with the town, state and postcode that follow them."""
    for pattern, rule, doubt in STREETS:
        for found in pattern.finditer(text):
            start = _start_of_line(text, found.start()) if pattern is STATE_ZIP else found.start()
            yield Span(start, _extended(text, found.end()), Kind.ADDRESS, rule, doubt)
    for found in ROOM.finditer(text):
        if "\n" not in found.group() and not found.group().lower().startswith(NO_ROOMS):
            yield Span(found.start(), _extended(text, found.end()), Kind.ADDRESS, "flat or suite", EVEN)
    for pattern in (NAMED_STREET, TOWN_STATE, UK_POSTCODE, CANADA_POSTCODE):
        for found in pattern.finditer(text):
            kind = Kind.PLACE if pattern is TOWN_STATE else Kind.ADDRESS
            yield Span(*found.span(), kind, "address without a number", EVEN)
    for found in STREET_ENDING.finditer(text):
        head = WORD_END.search(text, max(0, found.start() - 30), found.start())
        start = head.start() if head else found.start()
        yield Span(start, _extended(text, found.end()), Kind.ADDRESS, ABROAD, EVEN)
    yield from _blocks(text)
    yield from _told(text, text.lower())


def _blocks(text: str) -> Iterator[Span]:
    """A number and capitals with a sign of a street in them, or after a word like "lives at"."""
    for found in BLOCK.finditer(text):
        if DAY_FIRST.match(text, found.start()) or DOSE.match(text, found.end()):
            continue
        told = TOLD_ADDRESS.search(text[max(0, found.start() - 50) : found.start()])
        capitals = sum(1 for word in found.group().split() if word[0].isupper())
        if capitals and (BLOCK_SIGN.search(found.group()) or (told and capitals > 1)):
            yield Span(found.start(), _extended(text, found.end()), Kind.ADDRESS, "block of an address", EVEN)


def _told(text: str, lowered: str) -> Iterator[Span]:
    """Addresses after a word that tells them; looked for only where that word is in the text."""
    if any(word in lowered for word in TELLING):
        for found in SMALL_BLOCK.finditer(text):
            if found.group("value").islower():
                yield Span(*found.span("value"), Kind.ADDRESS, "told address written small", EVEN)
    if "corner" in lowered or "intersection" in lowered:
        for found in CORNER.finditer(text):
            yield Span(*found.span(), Kind.ADDRESS, "corner of two streets", LIKELY)
    if "zip" in lowered or "post" in lowered:
        for found in ZIP_TOLD.finditer(text):
            if any(c.isdigit() for c in found.group("value")):
                yield Span(*found.span("value"), Kind.ADDRESS, "told to be a postcode", SURE)


def find_fields(text: str) -> Iterator[Span]:
    """The values of a form's fields for addresses, places, institutions and professions, up to the next field."""
    for found in ON_FORM.finditer(text):
        value, start = found.group("value"), found.start("value")
        stop = NEXT_FIELD.search(value)
        end = start + (stop.start() if stop else len(value.rstrip()))
        label = found.group("label").lower()
        kind = next((k for k, starts in KIND_OF_LABEL if label.startswith(starts)), Kind.ADDRESS)
        first = text[start]
        if end > start and (
            first.isupper() or first.isdigit() or kind is Kind.PROFESSION or label == "address"
        ):
            if kind is Kind.ADDRESS:
                end = _extended(text, end)
            yield Span(start, end, kind, "field of a form", LIKELY)


def _extended(text: str, end: int) -> int:
    """Past flat, town, state, postcode and country, if they follow, on the next lines too."""
    for _ in range(6):
        found = FOLLOWING.match(text, end)
        if found is None:
            break
        piece = found.group()
        if "," not in piece and "\n" not in piece and not any(c.isdigit() for c in piece):
            words = piece.split()
            if not (words[-1].isupper() or words[-1][0].isupper()):
                break
        if "\n" in piece and re.match(r"\s*:", text[found.end() : found.end() + 3]):
            break
        end = found.end()
    return end


def _start_of_line(text: str, start: int) -> int:
    """Back from a state over the town, street and number before it, to a label, a line or a small word."""
    head = text[max(0, start - 120) : start]
    found = re.search(rf"(?:(?:{CAPITALISED}|#?\d[\w-]{{0,8}})[,.]?\s{{1,2}}){{1,12}}$", head[-120:])
    return start if found is None else start - (len(head[-120:]) - found.start())


def find_journeys(text: str, said: frozenset[str], known: Lists) -> Iterator[Span]:
    """Where somebody moved, was born or lives: capitals whatever they are, small letters if no word."""
    if said.isdisjoint(GOING):
        return
    for found in WENT_TO.finditer(text):
        place = found.lastgroup or "to"
        value = found.group(place)
        if value[0].isupper() or not (known.is_word(plain(value)) or len(value) < 4):
            yield Span(*found.span(place), Kind.PLACE, "place told", EVEN)


def find_places(words: Sequence[Word], known: Lists) -> Iterator[Span]:
    """Towns, counties, states and countries by the list; words that are also ordinary ones only after in or from."""
    for k, word in enumerate(words):
        if not word.is_capital or (k and _inside(words[k - 1], word)):
            continue
        for length in range(known.longest_place.get(word.plain, 0), 0, -1):
            chosen = words[k : k + length]
            if len(chosen) < length or not all(_follows(a, b) for a, b in pairwise(chosen)):
                continue
            name = " ".join(w.plain for w in chosen)
            if name not in known.places:
                continue
            after = words[k - 1].plain in PREPOSITIONS and word.start - words[k - 1].end == 1 if k else False
            if _is_place(chosen, name, after, known):
                yield Span(
                    word.start, chosen[-1].end, Kind.PLACE, "list of places", LIKELY if after else EVEN
                )
                break


def _is_place(chosen: Sequence[Word], name: str, after: bool, known: Lists) -> bool:
    if name in STATES:
        return True
    ordinary = all(known.is_word(w.plain) for w in chosen)
    if len(chosen) > 1:
        return not ordinary or after
    word = chosen[0]
    if word.is_all_capitals and len(name) < 5 and not after:
        return False
    return after and not word.in_caseless_line if ordinary else True


def _follows(first: Word, second: Word) -> bool:
    return second.is_capital and second.start - first.end <= 2


def _inside(before: Word, word: Word) -> bool:
    return before.is_capital and word.start == before.end
