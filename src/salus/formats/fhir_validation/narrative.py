"""Narrative: only the XHTML that is safe to show (txt-1), and something to read (txt-2); R4, page narrative."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from salus.formats.fhir_validation.looking import Look, Place

XHTML = "http://www.w3.org/1999/xhtml"
TAGS = frozenset(
    (
        *(
            "p",
            "br",
            "div",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "a",
            "span",
            "b",
            "em",
            "i",
            "strong",
            "small",
        ),
        *(
            "big",
            "tt",
            "dfn",
            "q",
            "var",
            "abbr",
            "acronym",
            "cite",
            "blockquote",
            "hr",
            "address",
            "bdo",
            "kbd",
        ),
        *("sub", "sup", "ul", "ol", "li", "dl", "dt", "dd", "pre", "table", "caption", "colgroup", "col"),
        *(
            "thead",
            "tr",
            "tfoot",
            "tbody",
            "th",
            "td",
            "code",
            "samp",
            "img",
            "map",
            "area",
            "u",
            "s",
            "strike",
        ),
        *("font", "center"),
    )
)
"""Elements of chapters 7 to 11 (but section 4 of 9) and 15 of HTML 4.0, and images."""
ATTRIBUTES = frozenset(
    (
        *(
            "title",
            "style",
            "class",
            "id",
            "lang",
            "xml:lang",
            "dir",
            "accesskey",
            "tabindex",
            "span",
            "width",
        ),
        *("align", "valign", "char", "charoff", "abbr", "axis", "headers", "scope", "rowspan", "colspan"),
        *("cellpadding", "cellspacing", "border", "summary", "rules", "frame", "name", "href", "alt", "src"),
        *("height", "longdesc", "usemap", "ismap", "shape", "coords", "cite", "bgcolor", "nowrap", "noshade"),
        *("size", "color", "face", "clear", "start", "value", "type", "compact", "rel", "rev", "charset"),
        *("hreflang", "vspace", "hspace", "nohref", "target", "xmlns", "background", "link", "xml:space"),
    )
)
UNSAFE_LINK = re.compile(r"\s*(?:javascript|vbscript)\s*:", re.IGNORECASE)


@lru_cache(maxsize=1024)
def trouble_of_div(text: str) -> tuple[str, str]:
    """The rule that a narrative breaks and why; empty where it breaks none.

    >>> trouble_of_div('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>')
    ('txt-1', 'an element that narrative may not have')
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        return "txt-1", "no well-formed XHTML (HTML's named characters, such as &nbsp;, are none)"
    if reader.trouble:
        return "txt-1", reader.trouble
    return ("", "") if reader.has_content else ("txt-2", "nothing to read")


class _Reader:
    """Goes through a narrative once."""

    def __init__(self) -> None:
        self.trouble, self.has_content, self.depth = "", False, 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.depth and (name != "div" or attributes.get("xmlns") != XHTML):
            self.trouble = "a narrative is one div in the namespace of XHTML"
        if name not in TAGS:
            self.trouble = "an element that narrative may not have"
        for key, value in attributes.items():
            if key not in ATTRIBUTES and not key.startswith(("xmlns:", "data-")):
                self.trouble = "an attribute that narrative may not have"
            if key in ("href", "src") and UNSAFE_LINK.match(value):
                self.trouble = "a link that runs a program"
        self.has_content = self.has_content or name == "img"
        self.depth += 1

    def end(self, _: str) -> None:
        self.depth -= 1

    def data(self, text: str) -> None:
        self.has_content = self.has_content or bool(text.strip())

    def doctype(self, *_: Any) -> None:
        self.trouble = "a document type in a narrative"


def check_div(look: Look, told: dict[str, Any], place: Place) -> None:
    """Check the narrative of a resource."""
    rule, words = trouble_of_div(told["value"])
    if rule:
        look.noted.error(rule, place.where, words)
