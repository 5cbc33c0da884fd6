"""Answers to a browser: a filled template, JSON, a picture, or a page that says what went wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from salus.errors import SalusError
from salus.programme.gate import Verdict
from salus.web import words
from salus.workflows.pages import words as numbers

HERE = Path(__file__).parent
STATIC = {"style.css": "text/css; charset=utf-8", "mark.svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"
NOT_FOUND, REFUSED, CONFLICT = 404, 400, 409
TABS = (
    ("", "Overview"),
    ("quality", "Data quality"),
    ("comparison", "Synthetic v real"),
    ("forecasts", "Forecasts"),
    ("evidence", "Evidence"),
)
"""The pages of a use case: the end of their address, and their name."""


@cache
def environment() -> Environment:
    """The templates, compiled once; everything is escaped and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "better": words.better,
        "bounds": words.bounds,
        "capital": words.capital,
        "date": words.date,
        "meaning": words.meaning,
        "patients": words.patients,
        "population": words.population,
        "share": numbers.share,
        "short": words.short,
        "signs": words.signs,
        "ticked": words.ticked,
        "title_of": words.title_of,
        "value": words.value,
    }
    made.tests["trouble"] = lambda part: isinstance(part, SalusError)
    made.globals |= {
        "VERDICTS": {verdict.value: said for verdict, said in words.VERDICTS.items()},
        "Verdict": Verdict,
        "GRADES": words.GRADES,
        "SEVERITIES": words.SEVERITIES,
        "KINDS": words.KINDS,
        "TABS": TABS,
        "style": f"/static/style.css?v={static_digest('style.css')}",
        "mark": f"/static/mark.svg?v={static_digest('mark.svg')}",
    }
    return made


def prepare() -> None:
    """Compile every template, which otherwise the first who asks would wait for."""
    for name in environment().list_templates():
        environment().get_template(name)


def page(template: str, parts: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
    """Fill a template."""
    return HTMLResponse(environment().get_template(template).render(parts), status_code=status)


def trouble_page(
    problem: SalusError, *, status: int, nearest: Sequence[tuple[str, str]] = ()
) -> HTMLResponse:
    """A page that says what went wrong, where, and how to fix it; ``nearest``: address and name of other pages."""
    return page("trouble.html.j2", {"problem": problem, "nearest": nearest}, status=status)


def json_answer(content: object, *, status: int = 200) -> Response:
    """Indented JSON, so that people can read it too."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    return Response(text + "\n", status_code=status, media_type="application/json")


def json_trouble(problem: SalusError, *, status: int = CONFLICT) -> Response:
    """An error as JSON."""
    said = {"code": problem.code, "what": problem.what, "where": problem.where, "fix": problem.fix}
    return json_answer({"error": said}, status=status)


def static_file(name: str, *, version: str | None) -> Response | None:
    """The style sheet or the mark; kept by the browser where it asks for this very version. None: no such file."""
    if name not in STATIC:
        return None
    kept = FOREVER if version == static_digest(name) else "no-cache"
    return Response(_static(name), media_type=STATIC[name], headers={"Cache-Control": kept})


def static_digest(name: str) -> str:
    """The start of a static file's digest."""
    return hashlib.sha256(_static(name)).hexdigest()[: words.SHORT]


@cache
def _static(name: str) -> bytes:
    return (HERE / "static" / name).read_bytes()
