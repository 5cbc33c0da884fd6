"""The workspace: which address shows which page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from salus.errors import SalusError, WorkspaceError
from salus.findings import Bundle
from salus.programme.gate import Judgement
from salus.programme.usecase_folder import UseCaseFolder
from salus.web import answers, evidence_pages, gate_rows, missing, sheet_pages, words
from salus.web.guard import Guard
from salus.web.library import find_usecases
from salus.web.sheet_pages import Made
from salus.web.standing import Shelf, Standing

Clock = Callable[[], datetime]
PLACE = "/usecases/{name}"


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def workspace(root: Path, *, clock: Clock = now, shelf: Shelf | None = None) -> Guard:
    """Every page about the use cases in ``root``, behind the guard; ``shelf`` holds what was read before."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=True)
    pages = Pages(root, clock, shelf or Shelf())
    routes: tuple[tuple[str, Callable[..., Response]], ...] = (
        ("/", pages.home),
        ("/usecases", pages.to_home),
        ("/static/{name}", pages.static),
        (PLACE, pages.usecase),
        (f"{PLACE}/gate.json", pages.gate_json),
        (f"{PLACE}/quality", pages.quality),
        (f"{PLACE}/quality/pictures/{{file}}", pages.quality_picture),
        (f"{PLACE}/comparison", pages.comparison),
        (f"{PLACE}/comparison/pictures/{{file}}", pages.comparison_picture),
        (f"{PLACE}/forecasts", pages.forecasts),
        (f"{PLACE}/forecasts/{{number}}", pages.forecast),
        (f"{PLACE}/forecasts/{{number}}/pictures/{{file}}", pages.forecast_picture),
        (f"{PLACE}/evidence", pages.evidence),
        (f"{PLACE}/evidence.json", pages.bundle_json),
        (f"{PLACE}/evidence/{{number}}.json", pages.finding_json),
        (f"{PLACE}/evidence/{{number}}", pages.finding),
    )
    for address, answer in routes:
        app.add_api_route(address, answer, methods=["GET", "HEAD"], response_model=None)
    app.add_exception_handler(SalusError, pages.trouble)
    app.add_exception_handler(HTTPException, pages.trouble)
    return Guard(app)


class Pages:
    """What each address answers. Files are read when somebody asks, and again when they changed."""

    def __init__(self, root: Path, clock: Clock, shelf: Shelf) -> None:
        self._root, self._clock, self._shelf = root, clock, shelf

    def home(self) -> HTMLResponse:
        """Every use case as a card."""
        cards = []
        for name, folder in find_usecases(self._root).items():
            standing = self._shelf.standing(folder)
            cards.append((name, standing, standing.judgement(self._clock())))
        return answers.page("home.html.j2", {"cards": cards, "root": self._root.name})

    def to_home(self) -> RedirectResponse:
        """The list of use cases is the first page."""
        return RedirectResponse("/", status_code=307)

    def static(self, name: str, v: str = "") -> Response:
        """The style sheet and the mark."""
        found = answers.static_file(name, version=v)
        if found is None:
            raise HTTPException(answers.NOT_FOUND)
        return found

    def usecase(self, name: str) -> HTMLResponse:
        """What a use case is for, where it stands, and whether it may go on."""
        standing, judgement = self._asked(name)
        groups: tuple[gate_rows.Group, ...] = ()
        if isinstance(judgement, Judgement):
            groups = gate_rows.judged_groups(judgement, _bundle(standing))
        elif not isinstance(standing.protocol, SalusError):
            groups = gate_rows.asked_groups(standing.protocol)
        parts = {
            "groups": groups,
            "counted": gate_rows.counted(judgement) if isinstance(judgement, Judgement) else [],
            "road": words.ROAD,
            "off_the_road": words.OFF_THE_ROAD,
            "tiers": words.TIERS,
        }
        return answers.page("usecase.html.j2", _frame(name, standing, judgement, tab="") | parts)

    def gate_json(self, name: str) -> Response:
        """The judgement as ``salus gate --json`` prints it."""
        _, judgement = self._asked(name)
        if isinstance(judgement, SalusError):
            return answers.json_trouble(judgement)
        return answers.json_answer(judgement.as_json())

    def quality(self, name: str) -> HTMLResponse:
        """What is odd in the real records."""
        return self._sheet(name, sheet_pages.quality(self._folder(name)), tab="quality")

    def comparison(self, name: str) -> HTMLResponse:
        """Synthetic beside real patients."""
        return self._sheet(name, sheet_pages.comparison(self._folder(name)), tab="comparison")

    def forecasts(self, name: str) -> HTMLResponse:
        """The patients whose futures were drawn."""
        standing, judgement = self._asked(name)
        found = sheet_pages.read_forecasts(standing.folder)
        frame = _frame(name, standing, judgement, tab="forecasts")
        return answers.page("forecasts.html.j2", frame | {"found": found})

    def forecast(self, name: str, number: str) -> HTMLResponse:
        """One patient's record and futures."""
        made = sheet_pages.forecast(self._folder(name), self._number(name, number))
        return self._sheet(name, made, tab="forecasts")

    def quality_picture(self, name: str, file: str) -> Response:
        """A picture of the quality page."""
        return self._picture(sheet_pages.quality(self._folder(name)), file)

    def comparison_picture(self, name: str, file: str) -> Response:
        """A picture of the comparison."""
        return self._picture(sheet_pages.comparison(self._folder(name)), file)

    def forecast_picture(self, name: str, number: str, file: str) -> Response:
        """A picture of one patient's futures."""
        return self._picture(sheet_pages.forecast(self._folder(name), self._number(name, number)), file)

    def evidence(self, name: str, kind: str = "", page: str = "1") -> HTMLResponse:
        """The findings, narrowed by ``kind``."""
        standing, judgement = self._asked(name)
        bundle = _bundle(standing)
        listed = evidence_pages.listed(bundle, kind=kind, page=page) if bundle else None
        frame = _frame(name, standing, judgement, tab="evidence")
        return answers.page("evidence.html.j2", frame | {"bundle": bundle, "listed": listed})

    def finding(self, name: str, number: str) -> HTMLResponse:
        """One finding, in words."""
        standing, judgement = self._asked(name)
        shown = evidence_pages.shown(
            _whole_bundle(standing), number, judgement if isinstance(judgement, Judgement) else None
        )
        frame = _frame(name, standing, judgement, tab="evidence", deeper=True)
        return answers.page("finding.html.j2", frame | {"shown": shown})

    def finding_json(self, name: str, number: str) -> Response:
        """One finding as JSON."""
        standing, _ = self._asked(name)
        shown = evidence_pages.shown(_whole_bundle(standing), number, None)
        return answers.json_answer(evidence_pages.finding_json(shown.finding))

    def bundle_json(self, name: str) -> Response:
        """Every finding as JSON."""
        standing, _ = self._asked(name)
        return answers.json_answer(evidence_pages.bundle_json(_whole_bundle(standing)))

    def trouble(self, request: Request, problem: Exception) -> Response:
        """A page, or JSON where JSON was asked for, that says what is not there or cannot be shown."""
        path = str(request.scope["path"])
        if isinstance(problem, SalusError) and not isinstance(problem, WorkspaceError):
            return (
                answers.json_trouble(problem)
                if path.endswith(".json")
                else answers.trouble_page(problem, status=answers.CONFLICT)
            )
        found = missing.look_near(path, find_usecases(self._root))
        if isinstance(problem, WorkspaceError):
            found = missing.Missing(problem, found.links)
        if path.endswith(".json"):
            return answers.json_trouble(found.problem, status=answers.NOT_FOUND)
        return answers.trouble_page(found.problem, status=answers.NOT_FOUND, nearest=found.links)

    def _folder(self, name: str) -> UseCaseFolder:
        folder = find_usecases(self._root).get(name)
        if folder is None:
            raise HTTPException(answers.NOT_FOUND)
        return folder

    def _asked(self, name: str) -> tuple[Standing, Judgement | SalusError]:
        standing = self._shelf.standing(self._folder(name))
        return standing, standing.judgement(self._clock())

    def _number(self, name: str, number: str) -> int:
        """The number of a patient in the list, which is the only one that has a page."""
        found = sheet_pages.read_forecasts(self._folder(name))
        known = () if isinstance(found, SalusError) else tuple(str(one.number) for one in found.patients)
        if number not in known:
            raise HTTPException(answers.NOT_FOUND)
        return int(number)

    def _sheet(self, name: str, made: Made, *, tab: str) -> HTMLResponse:
        standing, judgement = self._asked(name)
        sheet = self._shelf.sheet(made.folder)
        pictures = frozenset() if isinstance(sheet, SalusError) else sheet_pages.present(sheet, made.folder)
        parts = {
            "made": made,
            "here": f"{missing.address(name)}/{made.address}",
            "sheet": sheet_pages.not_made(made, sheet) if isinstance(sheet, SalusError) else sheet,
            "pictures": pictures,
        }
        frame = _frame(name, standing, judgement, tab=tab, deeper=made.deeper)
        return answers.page("sheet.html.j2", frame | parts)

    def _picture(self, made: Made, file: str) -> Response:
        sheet = self._shelf.sheet(made.folder)
        path = None if isinstance(sheet, SalusError) else sheet_pages.picture_path(sheet, made.folder, file)
        if path is None:
            raise HTTPException(answers.NOT_FOUND)
        return FileResponse(path, media_type="image/svg+xml")


def _frame(
    name: str, standing: Standing, judgement: Judgement | SalusError, *, tab: str, deeper: bool = False
) -> dict[str, object]:
    """What the frame of a use case's pages shows; ``deeper``: below the page that the tab opens."""
    usecase = standing.usecase
    return {
        "name": name,
        "place": missing.address(name),
        "heading": name if isinstance(usecase, SalusError) else usecase.title,
        "standing": standing,
        "judgement": judgement,
        "tab": tab,
        "deeper": deeper,
    }


def _bundle(standing: Standing) -> Bundle | None:
    return standing.bundle if isinstance(standing.bundle, Bundle) else None


def _whole_bundle(standing: Standing) -> Bundle:
    if isinstance(standing.bundle, SalusError):
        raise standing.bundle
    if standing.bundle is None:
        raise WorkspaceError(
            "nothing has been measured yet",
            where=str(standing.folder.evidence),
            fix=f"measure it: salus appraise {standing.folder.root}",
        )
    return standing.bundle
