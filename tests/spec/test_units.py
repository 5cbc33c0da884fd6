"""A number carries its unit; what the table does not know is refused."""

import pytest

from salus.errors import UnitUnknown
from salus.units import CONVERSIONS, KNOWN_UNITS, MOLAR_PAIRS, SPELLINGS, Quantity, convert, read_unit


@pytest.mark.parametrize(
    ("quantity", "wanted", "code", "expected"),
    [
        (Quantity(5.0, "mmol/L"), "mg/dL", "LOINC//2345-7", 90.078),  # glucose, 180.156 g/mol
        (Quantity(100.0, "umol/L"), "mg/dL", "LOINC//2160-0", 1.1312),  # creatinine, 113.12 g/mol
        (Quantity(98.6, "[degF]"), "Cel", "", 37.0),
        (Quantity(16.0, "kPa"), "mm[Hg]", "", 120.00986928),
        (Quantity(7.4, "[pH]"), "[pH]", "", 7.4),
    ],
)
def test_conversions_by_hand(quantity, wanted, code, expected):
    assert convert(quantity, wanted, code=code) == Quantity(pytest.approx(expected), wanted)


@pytest.mark.parametrize(
    ("unit", "wanted", "code"), [("mmol/L", "mg/dL", ""), ("kg", "cm", ""), ("mg/dL", "%", "LOINC//2345-7")]
)
def test_an_unknown_conversion_is_refused_and_says_what_to_add_where(unit, wanted, code):
    with pytest.raises(UnitUnknown) as refused:
        convert(Quantity(1.0, unit), wanted, code=code)
    assert "units.py" in refused.value.fix


def test_units_are_case_sensitive():
    with pytest.raises(UnitUnknown, match="did you mean 'mg/dL'"):
        read_unit("mg/dl")


def test_every_unit_of_the_tables_is_a_known_one():
    named = {unit for pair in (*CONVERSIONS, *MOLAR_PAIRS) for unit in pair} | set(SPELLINGS.values())
    assert named <= KNOWN_UNITS
