"""Extensions: a value or further extensions (ext-1), and R4's own where and with what it allows; page extensibility."""

from __future__ import annotations

from typing import Any

from salus.formats.fhir_validation.definitions import known_extension, shape
from salus.formats.fhir_validation.looking import Look, Place
from salus.formats.fhir_validation.terminology import ABSOLUTE


def check_extensions(look: Look, value: dict[str, Any], place: Place) -> None:
    """Check the extensions of an object: where they stand says whether they may."""
    for name in ("extension", "modifierExtension"):
        found = value.get(name)
        for number, one in enumerate(found if isinstance(found, list) else ()):
            if isinstance(one, dict):
                _extension(look, one, place, f"{place.where}.{name}[{number}]")


def _extension(look: Look, value: dict[str, Any], place: Place, where: str) -> None:
    values = [name for name in value if name.lstrip("_").startswith("value")]
    if bool(values) == ("extension" in value):
        look.noted.error("ext-1", where, "an extension has a value or further extensions, not both")
    url = value.get("url")
    if not isinstance(url, str):
        return
    if place.of is not None and place.of.kind == "Extension":
        return
    if not ABSOLUTE.fullmatch(url):
        look.noted.error("extension-url", where, "the URL of an extension is absolute")
    if "|" in url:
        look.noted.error("extension-url", where, "the URL of an extension names no version")
        return
    known = known_extension(url)
    if known is None:
        look.noted.unchecked["extensions"] += 1
        return
    if known.places and not _may_stand(place, known.places):
        look.noted.error("extension-place", where, f"this extension stands in {', '.join(known.places)}")
    kinds = {name.lstrip("_").removeprefix("value") for name in values}
    allowed = {kind[0].upper() + kind[1:] for kind in known.kinds}
    if kinds and not kinds <= allowed:
        look.noted.error(
            "extension-value", where, f"its value is of type {' or '.join(sorted(allowed)) or 'none'}"
        )


def _may_stand(place: Place, places: tuple[str, ...]) -> bool:
    names = set(place.names)
    for kind in place.names:
        form = shape(kind)
        names |= set(form.above) if form is not None else set()
    names.add("Element")  # page defining-extensions: any element, a resource too
    bare = {name.removesuffix("[x]") for name in names}
    return any(one in names or one.removesuffix("[x]") in bare for one in places)
