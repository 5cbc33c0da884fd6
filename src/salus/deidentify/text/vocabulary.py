"""Words of our own that the lists do not hold: clinical abbreviations, eponyms, names that are hardly ever words."""

from __future__ import annotations

from importlib.resources import files


def _own(name: str) -> frozenset[str]:
    path = files("salus.deidentify.text") / "lists" / f"{name}.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


EPONYMS = _own("eponyms")
"""People after whom diseases, signs and devices are called: in clinical text mostly not the people."""

SAFE_WORDS = _own("clinical")
NOT_WORDS = _own("not_words")
"""In the dictionary, but far more often somebody's name."""

NOT_NAMES = _own("clinical") | frozenset(
    "the and for with was his her has had who per via not are you all any but can did one our out she him new now old see two way use"
    " an at be by do go he if in is it me my no of on or so to up us we as am im er oh said see than then they them this that those these"
    " patient patients doctor nurse mother father son daughter wife husband brother sister aunt uncle mr mrs ms dr sir madam miss"
    " note report day days week month year years time pain left right history denies reports states plan exam none normal street avenue"
    " road lane drive court north south east west unknown other home phone date birth name address school hospital clinic center".split()
)
"""In a census list, and in a note hardly ever a name."""

SAFE_ENDINGS = (
    "itis", "osis", "oses", "emia", "aemia", "uria", "ectomy", "otomy", "ostomy", "oscopy", "oscopic", "graphy", "graphic", "gram", "grams",
    "pathy", "pathic", "plasty", "plegia", "paresis", "penia", "philia", "phobia", "rrhea", "rrhoea", "rrhage", "algia", "dynia", "oma",
    "omas", "megaly", "malacia", "sclerosis", "stenosis", "trophy", "trophic", "lysis", "lytic", "genic", "pril", "sartan", "olol", "statin",
    "mab", "nib", "cillin", "mycin", "micin", "floxacin", "azole", "prazole", "tidine", "setron", "triptan", "gliptin", "gliflozin", "glutide",
    "parin", "xaban", "gatran", "zepam", "zolam", "barbital", "caine", "dipine", "thiazide", "semide", "sone", "solone", "vir", "ology",
    "ologist", "ological", "iatric", "iatrics", "tension", "tensive", "cardiac", "vascular", "thoracic", "pulmonary", "ation", "ations",
    "cephalic", "temporal", "lateral", "icular", "mentary", "aneous", "pharyngeal", "tracheal", "cranial", "spinal", "plantar", "flexion",
    "traumatic", "tropic", "phagia", "pnea", "pnoea", "stasis", "static", "scopy", "genous", "thermia", "cardia", "iform", "iatry",
    "ness", "ment", "ments", "ity", "ities", "ized", "ised", "izing", "ising", "ingly", "ously", "ally", "ible", "able", "less",
)  # fmt: skip
"""Ends of words of medicine and of English that hardly any name has."""

PROFESSIONS = _own("professions")
"""Last words of what somebody does for a living."""

DEMOGRAPHIC = frozenset(
    "man woman male female boy girl gentleman lady infant newborn neonate baby child toddler teen teenager adolescent patient person"
    " adult individual caucasian hispanic asian black white african american african-american right-handed left-handed old gravida"
    " nulliparous multiparous primigravida smoker nonsmoker non-smoker former current veteran sister brother mother father son daughter"
    " wife husband twin mentally known diabetic with".split()
)
"""What follows an age and is no profession."""

STATES = frozenset(
    "alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|georgia|hawaii|idaho|illinois|indiana|iowa|kansas|kentucky"
    "|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|missouri|montana|nebraska|nevada|new hampshire|new jersey|new mexico"
    "|new york|north carolina|north dakota|ohio|oklahoma|oregon|pennsylvania|rhode island|south carolina|south dakota|tennessee|texas|utah|vermont"
    "|virginia|washington|west virginia|wisconsin|wyoming|district of columbia|puerto rico|guam|american samoa|virgin islands|northern mariana islands"
    "|england|scotland|wales|northern ireland|ontario|quebec|british columbia|alberta|manitoba|saskatchewan|nova scotia|new brunswick|usa|u.s.a"
    "|united kingdom|united states|united states of america|czech republic|new zealand|america|uk|europe|africa|asia|long island|brooklyn|queens|bronx|manhattan".split(
        "|"
    )
)
"""Names of states and countries that are places whatever stands before them."""
