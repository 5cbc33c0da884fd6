"""Read one resource from JSON, strictly: numbers stay as written, and a name that comes twice is seen."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from salus.formats.fhir_validation.issues import Noted

BOM = b"\xef\xbb\xbf"


class Repeated(dict[str, Any]):
    """An object in which a name comes twice; ``names`` says which."""

    names: tuple[str, ...] = ()


def read_strictly(raw: bytes, noted: Noted) -> Any:
    """Give what the JSON says; None where it is none, which is noted."""
    try:
        text = raw.removeprefix(BOM).decode("utf-8")
        return json.loads(text, object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_number)
    except UnicodeDecodeError:
        noted.error("json-utf-8", "", "the bytes are no UTF-8")
    except RecursionError:
        noted.error("json-depth", "", "objects in objects, too deep to be read")
    except json.JSONDecodeError as error:
        noted.error("json-syntax", "", f"no JSON at line {error.lineno}, character {error.colno}")
    except ValueError:
        noted.error("json-syntax", "", "a number that JSON does not have")
    return None


def _no_number(_: str) -> Any:
    raise ValueError


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) == len(pairs):
        return told
    names = [name for name, _ in pairs]
    again = Repeated(told)
    again.names = tuple(sorted({name for name in names if names.count(name) > 1}))
    return again
