"""Units are UCUM, case-sensitive; a conversion that is not in the table is refused, not guessed."""

from __future__ import annotations

from dataclasses import dataclass

from salus.errors import UnitUnknown, nearest

# What people write for a UCUM unit. Only spellings that cannot mean anything else.
SPELLINGS = {
    "mmHg": "mm[Hg]",
    "mm Hg": "mm[Hg]",
    "IU/L": "[IU]/L",
    "bpm": "/min",
    "mEq/L": "meq/L",
    "°C": "Cel",
    "°F": "[degF]",
    "kg/m²": "kg/m2",
}

KNOWN_UNITS = frozenset(
    (
        *(
            "1",
            "%",
            "/min",
            "10*3/uL",
            "10*9/L",
            "Cel",
            "[degF]",
            "[IU]/L",
            "U/L",
            "[pH]",
            "{score}",
            "{count}",
            "a",
            "cm",
        ),
        *(
            "d",
            "g",
            "g/dL",
            "g/L",
            "h",
            "kg",
            "kg/m2",
            "kPa",
            "L/min",
            "[lb_av]",
            "[in_i]",
            "m",
            "meq/L",
            "mg/dL",
        ),
        *(
            "min",
            "mg",
            "mg/L",
            "mL/min",
            "mL/min/{1.73_m2}",
            "mmol",
            "mmol/mol",
            "mosm/kg",
            "ng/L",
            "nmol/L",
            "pmol/L",
            "fL",
            "pg",
            "ug",
            "ug/dL",
            "ug/mL",
            "[IU]",
            "[IU]/mL",
            "L",
            "mL/kg",
            "ug/kg/min",
            "kcal",
            "J",
            "W",
            "Hz",
            "mV",
            "wk",
            "mo",
            "10*6/uL",
            "10*12/L",
            "mL",
            "mL/h",
            "mm[Hg]",
            "mm/h",
            "mmol/L",
            "ng/mL",
            "pg/mL",
            "s",
            "ug/L",
            "umol/L",
        ),
    )
)

# (from, to) → (factor, offset): true whatever is measured.
CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("[lb_av]", "kg"): (0.45359237, 0.0),
    ("[in_i]", "cm"): (2.54, 0.0),
    ("m", "cm"): (100.0, 0.0),
    ("g", "kg"): (0.001, 0.0),
    ("g/L", "g/dL"): (0.1, 0.0),
    ("kPa", "mm[Hg]"): (7.50061683, 0.0),
    ("ng/mL", "ug/L"): (1.0, 0.0),
    ("10*9/L", "10*3/uL"): (1.0, 0.0),
    ("U/L", "[IU]/L"): (1.0, 0.0),
}

# LOINC parts whose mass ↔ substance conversion is settled: molar mass in g/mol (PubChem).
MOLAR_MASS = {
    "LOINC//2345-7": 180.156,  # glucose
    "LOINC//2160-0": 113.12,  # creatinine
    "LOINC//2093-3": 386.65,  # cholesterol
    "LOINC//2085-9": 386.65,  # HDL cholesterol, as cholesterol
    "LOINC//1975-2": 584.66,  # bilirubin
}

# (from, to) → (factor of the molar mass or of its inverse, whether it is the inverse).
MOLAR_PAIRS: dict[tuple[str, str], tuple[float, bool]] = {
    ("mmol/L", "mg/dL"): (0.1, False),
    ("umol/L", "mg/dL"): (0.0001, False),
    ("mg/dL", "mmol/L"): (10.0, True),
    ("mg/dL", "umol/L"): (10_000.0, True),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit."""

    value: float
    unit: str


def read_unit(written: str) -> str:
    """Give the UCUM unit meant by ``written``.

    >>> read_unit("mmHg")
    'mm[Hg]'
    """
    unit = SPELLINGS.get(written, written)
    if unit not in KNOWN_UNITS:
        raise UnitUnknown(
            f"no unit '{written}'{nearest(written, KNOWN_UNITS)}",
            where="units.read_unit",
            fix="write it in UCUM (case matters), or add it to KNOWN_UNITS in units.py",
        )
    return unit


def conversion(unit: str, wanted: str, *, code: str = "") -> tuple[float, float]:
    """Factor and offset that turn ``unit`` into ``wanted``: wanted = factor * value + offset.

    >>> conversion("ng/mL", "ug/L")
    (1.0, 0.0)
    """
    if unit == wanted:
        return 1.0, 0.0
    if (unit, wanted) in CONVERSIONS:
        return CONVERSIONS[unit, wanted]
    molar = MOLAR_MASS.get(code)
    if molar and (unit, wanted) in MOLAR_PAIRS:
        factor, inverse = MOLAR_PAIRS[unit, wanted]
        return (factor / molar if inverse else factor * molar), 0.0
    raise UnitUnknown(
        f"no conversion from '{unit}' to '{wanted}'" + (f" for {code}" if code else ""),
        where="units.conversion",
        fix="add the pair, with its source, to the conversion table in units.py",
    )


def convert(quantity: Quantity, wanted: str, *, code: str = "") -> Quantity:
    """Convert one quantity.

    >>> convert(Quantity(98.6, "[degF]"), "Cel")
    Quantity(value=37.0, unit='Cel')
    """
    factor, offset = conversion(quantity.unit, wanted, code=code)
    return Quantity(round(quantity.value * factor + offset, 10), wanted)
