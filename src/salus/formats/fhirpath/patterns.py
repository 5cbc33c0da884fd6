"""Patterns of text as FHIRPath writes them: regular expressions in which a dot is any character, a new line too."""

from __future__ import annotations

import re
from functools import lru_cache

from salus.formats.fhirpath.comparing import wrong


@lru_cache(maxsize=256)
def written(pattern: str) -> re.Pattern[str]:
    """Read a pattern; raises ExpressionWrong where it is none.

    >>> bool(written("a.c").search("xa\\nc"))
    True
    """
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise wrong("a pattern that cannot be read") from error
