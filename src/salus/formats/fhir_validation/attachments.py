"""Attachments and other data in base64: their size and digest are those of the data; R4, page datatypes."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha1
from typing import Any

from salus.formats.fhir_validation.looking import Look, Place


def check_attachment(look: Look, value: dict[str, Any], place: Place) -> None:
    """The size and the digest that are stated are those of the data."""
    data = value.get("data")
    if not isinstance(data, str):
        return
    try:
        raw = base64.b64decode(data)
    except (binascii.Error, ValueError):
        return
    size, digest = value.get("size"), value.get("hash")
    if isinstance(size, int) and size != len(raw):
        look.noted.error("attachment-size", place.where, "the size is not that of the data")
    stated = base64.b64encode(sha1(raw, usedforsecurity=False).digest()).decode()
    if isinstance(digest, str) and digest != stated:
        look.noted.warning("attachment-hash", place.where, "the digest is not that of the data")
