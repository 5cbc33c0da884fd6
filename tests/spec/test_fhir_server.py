"""A FHIR server as hospitals have them, on loopback: it exports, it pages, it is busy, it lies; Salus loses nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from salus.errors import KeyUnfit, OtherServer, ServerTrouble, SourceValueError
from salus.formats.fhir_server import read_server
from salus.intake.fhir_access import public_key, read_private_key
from salus.intake.fhir_talk import Patience
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.ingest_fhir import FhirHow
from salus.workflows.ingest_fhir_server import ingest_fhir_server, taken_folder

joserfc = pytest.importorskip("joserfc", reason="joserfc is not installed: pip install 'salus[fhir-server]'")
QUICK = Patience(tries=4, first=0.01, most=0.05, export=5.0, silent=5.0)
PATIENTS = [
    {"resourceType": "Patient", "id": f"p{n}", "gender": "female", "birthDate": "1950-03-01"}
    for n in range(5)
]


def result(number: int, value: str, *, version: int = 1, updated: str = "2024-01-02T10:00:00Z") -> str:
    """An Observation as text, so that 4.10 stays 4.10."""
    return (
        f'{{"resourceType": "Observation", "id": "o{number}", "meta": {{"versionId": "{version}", '
        f'"lastUpdated": "{updated}"}}, "status": "final", "code": {{"coding": [{{"system": "http://loinc.org", '
        f'"code": "2823-3"}}]}}, "subject": {{"reference": "Patient/p{number % 5}"}}, '
        f'"effectiveDateTime": "2024-01-02T08:30:00Z", "valueQuantity": {{"value": {value}, "unit": "mmol/L", '
        f'"system": "http://unitsofmeasure.org", "code": "mmol/L"}}}}'
    )


@dataclass
class Hospital:
    """What the server holds and how it misbehaves. ``asked``: every request's path and credential."""

    observations: list[str] = field(default_factory=lambda: [result(n, "4.10") for n in range(7)])
    exports: bool = True
    busy: int = 0
    html: int = 0
    half: int = 0
    polls: int = 2
    circle: bool = False
    page: int = 2
    links: bool = True
    totals: bool = False
    counts: bool = True
    elsewhere: str = ""
    expired: int = 0
    token: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    assertions: list[dict[str, list[str]]] = field(default_factory=list)
    stop_after: int = -1


class Handler(BaseHTTPRequestHandler):
    """Answers by what the hospital says."""

    hospital: Hospital
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silent."""

    def answer(
        self, status: int, body: bytes = b"", kind: str = "application/fhir+json", **headers: str
    ) -> None:
        """One answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def base(self) -> str:
        """This server's address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/fhir"

    def do_POST(self) -> None:
        """The token endpoint."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.hospital.assertions.append(form)
        self.hospital.token = f"token-{len(self.hospital.assertions)}"
        body = {"access_token": self.hospital.token, "expires_in": 300, "token_type": "bearer"}
        self.answer(200, json.dumps(body).encode(), "application/json")

    def do_DELETE(self) -> None:
        """The export may be forgotten."""
        self.answer(202)

    def do_GET(self) -> None:
        """Everything else."""
        here, parts = self.hospital, urlsplit(self.path)
        here.asked.append((self.path, self.headers.get("Authorization", "")))
        if parts.path.endswith("smart-configuration"):
            body = {"token_endpoint": f"{self.base}/token"}
            return self.answer(200, json.dumps(body).encode(), "application/json")
        if here.token and self.headers.get("Authorization") != f"Bearer {here.token}":
            return self.answer(401, b'{"resourceType": "OperationOutcome", "issue": [{"code": "login"}]}')
        if here.expired and len(here.asked) > here.expired:
            here.expired, here.token = 0, "another"
            return self.answer(401)
        if here.busy:
            here.busy -= 1
            return self.answer(429, Retry_After="0")
        if here.html:
            here.html -= 1
            return self.answer(200, b"<html>Patient Jane Doe</html>", "text/html")
        if 0 <= here.stop_after < len(here.asked):
            return self.answer(403, b'{"issue": [{"code": "forbidden", "diagnostics": "Jane Doe"}]}')
        return (
            self.export(parts.path) if "$export" in self.path or "/bulk/" in self.path else self.page(parts)
        )

    def export(self, path: str) -> None:
        """Bulk export."""
        here = self.hospital
        if not here.exports:
            return self.answer(404)
        if path.endswith("$export"):
            return self.answer(202, Content_Location=f"{self.base}/bulk/status")
        if path.endswith("status"):
            here.polls -= 1
            if here.polls >= 0:
                return self.answer(202, Retry_After="0")
            files = [("Patient", 5), ("Observation", len(here.observations))]
            place = here.elsewhere or self.base
            output = [{"type": kind, "url": f"{place}/bulk/{kind}", "count": count} for kind, count in files]
            body = {"transactionTime": "2024-02-01T00:00:00Z", "requiresAccessToken": True, "output": output}
            return self.answer(200, json.dumps(body).encode(), "application/json")
        lines = [json.dumps(one) for one in PATIENTS] if path.endswith("Patient") else here.observations
        body = "".join(f"{line}\n" for line in lines).encode()
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if here.half:
            here.half -= 1
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start : start + 300])
            self.close_connection = True
            return None
        return self.answer(206 if start else 200, body[start:], "application/fhir+ndjson")

    def page(self, parts: object) -> None:
        """Search, two resources a page unless told otherwise."""
        here, asked = self.hospital, parse_qs(parts.query)
        kind, first = parts.path.rsplit("/", 1)[1], int(asked.get("from", ["0"])[0])
        everything = {"Patient": [json.dumps(one) for one in PATIENTS], "Observation": here.observations}.get(
            kind, []
        )
        if since := asked.get("_lastUpdated", [""])[0].removeprefix("ge"):
            everything = [
                one for one in everything if json.loads(one).get("meta", {}).get("lastUpdated", "") >= since
            ]
        total = f'"total": {len(everything)}, ' if here.totals else ""
        if asked.get("_summary") == ["count"]:
            told = f', "total": {len(everything)}' if here.counts else ""
            return self.answer(200, f'{{"resourceType": "Bundle"{told}}}'.encode())
        found = everything[first : first + here.page]
        entries = ", ".join(f'{{"resource": {one}, "search": {{"mode": "match"}}}}' for one in found)
        following = f"{here.elsewhere or self.base}/{kind}?from={0 if here.circle else first + here.page}"
        more = here.links and (first + here.page < len(everything) or here.circle)
        links = json.dumps([{"relation": "next", "url": following}] if more else [])
        self.answer(
            200, f'{{"resourceType": "Bundle", {total}"link": {links}, "entry": [{entries}]}}'.encode()
        )
        return None


@pytest.fixture
def hospital() -> Iterator[tuple[Hospital, str]]:
    """A hospital and its address."""
    held = Hospital()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"hospital": held}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield held, f"http://127.0.0.1:{server.server_address[1]}/fhir"
    server.shutdown()
    thread.join()
    server.server_close()


def ingest(source: str, to: Path) -> tuple[int, int]:
    """Patients and potassium results of the timeline made."""
    ingest_fhir_server(source, to, FhirHow(processes=1), patience=QUICK, progress=QUIET)
    events = read_timeline(to)
    tenths = (events["numeric_value"].drop_nulls() * 10).round().cast(int)
    assert set(tenths) <= {41, 52}
    return events["subject_id"].n_unique(), int((events["code"] == "LOINC//2823-3").sum())


def described(folder: Path, **keys: str) -> str:
    path = folder / "server.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in keys.items()))
    return str(path)


def test_an_export_becomes_a_timeline(hospital, tmp_path):
    held, base = hospital
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    assert next(path for path, _ in held.asked if "_type=" in path).startswith("/fhir/$export?")
    taken = taken_folder(tmp_path / "timeline")
    assert (taken.stat().st_mode & 0o777, (taken / "rounds.json").stat().st_mode & 0o777) == (0o700, 0o600)
    assert "bulk/Patient" not in (taken / "rounds.json").read_text(), (
        "addresses may hold keys: they are forgotten"
    )


def test_without_an_export_it_is_read_page_by_page(hospital, tmp_path):
    held, base = hospital
    held.exports = False
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    taken = tmp_path / "timeline.taken" / "files" / "001" / "Observation-0001.ndjson"
    assert b"4.10" in taken.read_bytes(), "a value keeps its decimals"


def test_who_wants_an_export_alone_is_told_that_there_is_none(hospital, tmp_path):
    held, base = hospital
    held.exports = False
    with pytest.raises(ServerTrouble, match="no bulk export"):
        ingest(described(tmp_path, fhir=base, take="export"), tmp_path / "timeline")


@pytest.mark.parametrize("exports", [True, False])
def test_a_busy_server_that_sometimes_answers_html_is_asked_again(hospital, tmp_path, exports):
    held, base = hospital
    held.exports, held.busy, held.html = exports, 2, 0
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    held.busy, held.html = 1, 1
    assert ingest(base, tmp_path / "again") == (5, 7)


def test_a_file_that_breaks_off_is_gone_on_with(hospital, tmp_path):
    held, base = hospital
    held.half = 2
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    assert held.half == 0


def test_what_keeps_breaking_off_ends_with_an_error_and_the_next_run_finishes_it(hospital, tmp_path):
    """300 bytes at a time are never enough within four tries; what came before is not fetched again."""
    held, base = hospital
    held.half = 1_000
    with pytest.raises(ServerTrouble, match="does not come whole"):
        ingest(base, tmp_path / "timeline")
    assert not (tmp_path / "timeline").exists()
    held.half, before = 0, len(held.asked)
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    assert not [path for path, _ in held.asked[before:] if "$export" in path], (
        "the export is not asked for anew"
    )


def test_paging_goes_on_where_it_was_stopped(hospital, tmp_path):
    held, base = hospital
    held.exports, held.stop_after = False, 12
    with pytest.raises(ServerTrouble, match="status 403") as refused:
        ingest(base, tmp_path / "timeline")
    assert "Jane" not in str(refused.value), "what a server says in words is not repeated"
    assert "forbidden" in str(refused.value)
    held.stop_after, before = -1, len(held.asked)
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    again = {path for path, _ in held.asked[:before]} & {path for path, _ in held.asked[before:]}
    assert len(again) <= 1, "only the page that was refused is asked for again"


def test_pages_in_a_circle_end(hospital, tmp_path):
    held, base = hospital
    held.exports, held.circle = False, True
    with pytest.raises(ServerTrouble, match="circle"):
        ingest(base, tmp_path / "timeline")


def test_a_server_that_names_no_next_page_is_not_taken_for_whole(hospital, tmp_path):
    """Two of seven results, a total of seven and no link: taken as they are, five would be lost unseen."""
    held, base = hospital
    held.exports, held.links, held.totals = False, False, True
    with pytest.raises(ServerTrouble, match="gives 2 of 7 resources and names no next page"):
        ingest(base, tmp_path / "timeline")
    held.links = True
    assert ingest(base, tmp_path / "timeline") == (5, 7), "the next run takes all of it, each once"


@pytest.mark.parametrize(("more", "counts"), [(0, True), (1, True), (0, False)])
def test_a_full_page_without_link_and_total_is_counted(hospital, tmp_path, more, counts):
    """The page asked for has 500: as many may be all, or the first of more. Who does not say is not believed."""
    held, base = hospital
    held.exports, held.links, held.page, held.counts = False, False, 500, counts
    held.observations = [result(n, "4.10") for n in range(500 + more)]
    if more or not counts:
        with pytest.raises(ServerTrouble, match="500 of 501" if more else "does not say whether it is all"):
            ingest(base, tmp_path / "timeline")
    else:
        assert ingest(base, tmp_path / "timeline") == (5, 500)


@pytest.mark.parametrize("exports", [True, False])
def test_the_token_goes_to_no_other_host(hospital, tmp_path, exports, monkeypatch):
    held, base = hospital
    monkeypatch.setenv("FHIR_TOKEN", "secret")
    held.token, held.exports, held.elsewhere = "secret", exports, "http://localhost:9/fhir"
    with pytest.raises(ServerTrouble, match="another host"):
        ingest(described(tmp_path, fhir=base, token="FHIR_TOKEN"), tmp_path / "timeline")


def key_file(folder: Path, curve: str = "P-384") -> Path:
    from joserfc.jwk import ECKey

    path = folder / "client-key.pem"
    path.write_bytes(ECKey.generate_key(curve).as_pem(private=True))
    path.chmod(0o600)
    return path


def test_a_signed_assertion_opens_the_server_and_an_expired_token_is_replaced(hospital, tmp_path):
    """SMART Backend Services: iss and sub are the client, aud is the endpoint, and the signature is by our key."""
    from joserfc import jwt
    from joserfc.jwk import ECKey

    held, base = hospital
    path = key_file(tmp_path)
    held.token, held.expired = "nobody has it", 6
    source = described(tmp_path, fhir=base, key=path.name, client="salus-research")
    assert ingest(source, tmp_path / "timeline") == (5, 7)
    assert len(held.assertions) == 2
    form = held.assertions[0]
    assert form["scope"] == ["system/*.read"]
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    told = jwt.decode(form["client_assertion"][0], ECKey.import_key(public_key(path)), algorithms=["ES384"])
    assert (told.claims["iss"], told.claims["sub"], told.claims["aud"]) == ("salus-research",) * 2 + (
        f"{base}/token",
    )
    assert 0 < told.claims["exp"] - told.claims["iat"] <= 300
    assert told.header["kid"] == public_key(path)["kid"]
    assert "d" not in public_key(path), "the private part stays here"


def test_a_key_that_is_unfit_says_so_and_shows_nothing_of_itself(tmp_path):
    path = key_file(tmp_path)
    path.chmod(0o644)
    with pytest.raises(KeyUnfit, match="others may read"):
        read_private_key(path)
    with pytest.raises(KeyUnfit, match="no private key"):
        read_private_key(key_file(tmp_path, "P-256"))
    path.write_text("a word that nobody may read")
    with pytest.raises(KeyUnfit) as unfit:
        read_private_key(path)
    assert "a word" not in str(unfit.value)
    with pytest.raises(KeyUnfit, match="cannot be read"):
        read_private_key(tmp_path / "none.pem")


def test_a_token_variable_that_is_empty_says_so(hospital, tmp_path, monkeypatch):
    monkeypatch.delenv("FHIR_TOKEN", raising=False)
    with pytest.raises(KeyUnfit, match="FHIR_TOKEN is empty"):
        ingest(described(tmp_path, fhir=hospital[1], token="FHIR_TOKEN"), tmp_path / "timeline")


@pytest.mark.parametrize("exports", [True, False])
def test_the_next_time_only_what_is_new_is_taken_and_the_timeline_is_that_of_one_export(
    hospital, tmp_path, exports
):
    """A new result and a corrected one: one more row each, as if everything had been taken at once."""
    held, base = hospital
    held.exports = exports
    assert ingest(base, tmp_path / "timeline") == (5, 7)
    new = [
        result(7, "5.2", updated="2099-01-01T00:00:00Z"),
        result(0, "5.2", version=2, updated="2099-01-01T00:00:00Z"),
    ]
    everything, before = [*held.observations, *new], len(held.asked)
    held.observations = new if exports else everything
    assert ingest(base, tmp_path / "timeline") == (5, 9)
    asked = [path for path, _ in held.asked[before:]]
    assert (
        any("_since=2024-02-01" in path for path in asked)
        if exports
        else all("_lastUpdated=ge" in path or "from=" in path or "$export" in path for path in asked)
    )
    held.observations = everything
    assert ingest(base, tmp_path / "at-once") == (5, 9)
    kept = ["subject_id", "time", "code", "numeric_value", "known_time"]
    one, other = (read_timeline(tmp_path / name).select(kept) for name in ("timeline", "at-once"))
    assert one.equals(other)


def test_what_was_taken_from_one_server_is_not_mixed_with_another(hospital, tmp_path):
    _, base = hospital
    ingest(base, tmp_path / "timeline")
    with pytest.raises(OtherServer):
        ingest(base.replace("127.0.0.1", "localhost"), tmp_path / "timeline")


def test_a_mistyped_address_from_which_nothing_came_can_be_corrected(hospital, tmp_path):
    held, base = hospital
    held.stop_after = 0
    with pytest.raises(ServerTrouble):
        ingest(base.replace("127.0.0.1", "localhost"), tmp_path / "timeline")
    held.stop_after = -1
    assert ingest(base, tmp_path / "timeline") == (5, 7)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"fhir": "ftp://a/b"}, "no base address"),
        ({"fhir": "https://me:secret@a/b"}, "name or password"),
        ({"fhir": "https://a/b", "key": "k.pem"}, "belong together"),
        ({"fhir": "https://a/b", "key": "k.pem", "client": "c", "token": "T"}, "a key and a token"),
        ({"fhir": "https://a/b", "since": "2024-01-01"}, "no instant"),
        ({"fhir": "https://a/b", "take": "all"}, "take"),
        ({"fhir": "https://a/b", "group": "g", "take": "pages"}, "exported"),
    ],
)
def test_a_description_that_cannot_be_says_why_and_keeps_secrets(tmp_path, keys, why):
    with pytest.raises(SourceValueError, match=why) as wrong:
        read_server(described(tmp_path, **keys))
    assert "secret" not in str(wrong.value)
