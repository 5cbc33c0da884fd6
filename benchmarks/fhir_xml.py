"""A resource of FHIR written in XML, as JSON: the inputs of HL7's FHIRPath suite are XML, and Salus reads JSON."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from typing import Any

from salus.formats.r4_elements import element, is_complex, is_resource, json_name

Json = dict[str, Any]
WHOLE = ("integer", "positiveInt", "unsignedInt")
XHTML = "{http://www.w3.org/1999/xhtml}"


def resource_of(xml: str) -> Json:
    """Read one resource.

    >>> resource_of('<Patient xmlns="http://hl7.org/fhir"><active value="true"/><name id="a"/></Patient>')
    {'resourceType': 'Patient', 'active': True, 'name': [{'id': 'a'}]}
    """
    return _resource(ElementTree.fromstring(xml))


def _resource(node: ElementTree.Element) -> Json:
    kind = _name(node)
    return {"resourceType": kind, **_elements(node, kind)}


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _elements(node: ElementTree.Element, kind: str) -> Json:
    found: Json = {key: value for key, value in node.attrib.items() if key in ("id", "url")}
    for child in node:
        name = _name(child)
        below, is_list = _kind_of(kind, name)
        value, beside = _value(child, below)
        for key, one in ((name, value), (f"_{name}", beside)):
            if is_list and (one is not None or key == name):
                found.setdefault(key, []).append(one)
            elif one is not None:
                found[key] = one
    return found


def _kind_of(kind: str, name: str) -> tuple[str, bool]:
    """The type of an element by its name in XML, and whether there can be several."""
    told = element(kind, name)
    if told is not None:
        return told.kinds[0], told.is_list
    for cut in range(1, len(name)):
        choice = element(kind, name[:cut]) if name[cut].isupper() else None
        for one in choice.kinds if choice is not None else ():
            if json_name(name[:cut], one) == name:
                return one, False
    if name == "extension":
        return "Extension", True
    raise ValueError(f"{kind} has no element {name}")


def _value(node: ElementTree.Element, kind: str) -> tuple[Any, Json | None]:
    """A value, and what stands beside a simple one (its id and extensions)."""
    if node.tag.startswith(XHTML):
        return ElementTree.tostring(node, encoding="unicode"), None
    if len(node) and is_resource(_name(node[0])) and kind == "Resource":
        return _resource(node[0]), None
    if is_complex(kind):
        return _elements(node, kind), None
    beside = _elements(node, "Element") or None
    written = node.get("value")
    return None if written is None else _simple(written, kind), beside


def _simple(written: str, kind: str) -> object:
    if kind == "boolean":
        return written == "true"
    if kind in WHOLE:
        return int(written)
    return float(Decimal(written)) if kind == "decimal" else written
