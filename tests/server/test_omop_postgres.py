"""OMOP in a real PostgreSQL, started here on loopback: read by ranges of keys, it makes the same timeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from salus.errors import InputMissing, InputUnreadable
from salus.intake.omop_place import OmopPlace
from tests.on_loopback import free_port, wait_until_it_answers
from tests.small_omop import Ingested, ingested, ingested_from, write_tables
from tests.spec.test_omop_places import TABLES, same

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="adbc-driver-postgresql is not installed")
TYPES = {
    "BIGINT": "integer",
    "DOUBLE": "numeric",
    "VARCHAR": "varchar(50)",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}
PASSWORD = "canary-98765"


def program(name: str) -> str:
    """Where PostgreSQL's programs are: Debian keeps them off the path."""
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    if not found:
        pytest.skip(f"PostgreSQL is not installed (no {name})")
    return str(Path(found).resolve())


def as_owner(*command: str, folder: Path) -> list[str]:
    """PostgreSQL refuses to be root: then run it as somebody else who owns its folder."""
    if os.geteuid():
        return list(command)
    subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)
    return ["setpriv", "--reuid=nobody", "--clear-groups", *command]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder that another user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[str]:
    """A database on a free port of 127.0.0.1, gone afterwards."""
    password = home / "password"
    password.write_text(PASSWORD)
    init = [
        program("initdb"),
        "-D",
        str(home / "data"),
        "-U",
        "salus",
        f"--pwfile={password}",
        "-A",
        "scram-sha-256",
    ]
    subprocess.run(as_owner(*init, "--no-sync", folder=home), check=True, stdout=subprocess.DEVNULL, cwd=home)
    port = free_port()
    options = ["-D", str(home / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", str(home), "-F"]
    running = subprocess.Popen(
        as_owner(program("postgres"), *options, folder=home), stderr=subprocess.DEVNULL, cwd=home
    )
    url = f"postgresql://salus:{PASSWORD}@127.0.0.1:{port}/postgres"
    try:
        wait_until_it_answers(running, lambda: is_open(url), seconds=30, refused=dbapi.Error)
        yield url
    finally:
        running.terminate()
        running.wait(timeout=30)


def is_open(url: str) -> bool:
    """Whether the database takes a connection."""
    dbapi.connect(url).close()
    return True


def load(url: str, folder: Path, schema: str, *, names: tuple[str, ...]) -> None:
    """Bring CSV files into a schema, with the types of OHDSI's definitions (numbers are ``numeric``)."""
    with (
        dbapi.connect(url, autocommit=True) as connection,
        connection.cursor() as cursor,
        duckdb.connect() as db,
    ):
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        cursor.execute(f"CREATE SCHEMA {schema}")
        for name in names:
            table = db.sql(f"SELECT * FROM read_csv('{folder / name}.csv')")
            kinds = [TYPES.get(str(kind), "varchar") for kind in table.types]
            typed = ", ".join(f"{column} {kind}" for column, kind in zip(table.columns, kinds, strict=True))
            cursor.execute(f"CREATE TABLE {schema}.{name} ({typed})")
            for row in table.fetchall():
                cells = ", ".join(
                    "NULL" if cell is None else "'" + str(cell).replace("'", "''") + "'" for cell in row
                )
                cursor.execute(f"INSERT INTO {schema}.{name} VALUES ({cells})")


@pytest.fixture(scope="module")
def loaded(server, tmp_path_factory) -> tuple[str, Ingested]:
    """The server with the tables of the other kinds of source, and what they make as CSV."""
    folder = write_tables(tmp_path_factory.mktemp("omop") / "csv", **TABLES)
    vocabulary = ("concept", "concept_relationship", "concept_ancestor")
    load(server, folder, "cdm", names=("person", *(name for name in TABLES if name not in vocabulary)))
    load(server, folder, "vocabulary", names=vocabulary)
    return server, ingested(folder)


def test_the_same_tables_make_the_same_timeline(loaded, tmp_path):
    url, expected = loaded
    found = ingested_from(OmopPlace(where=url), tmp_path / "timeline")
    assert same(found, expected)
    assert "SNOMED//19829001" in found.codes["code"].to_list()  # two above what a source's code maps to


def test_ranges_of_keys_leave_no_row_out_and_take_none_twice(loaded, tmp_path):
    """One row a range, keys far apart, and a row without a key."""
    url, _ = loaded
    rows = "".join(f"{key},1,255848,2026-03-01,,,,,0\n" for key in (-5, 1, 2, 1_000_003, 2_000_000_000, ""))
    head = TABLES["condition_occurrence"].split("\n")[0] + "\n"
    folder = write_tables(tmp_path / "csv", condition_occurrence=head + rows)
    load(url, folder, "sparse", names=("person", "concept", "condition_occurrence"))
    found = ingested_from(OmopPlace(where=url, schema="sparse", rows_a_range=1), tmp_path / "timeline")
    assert found.events.equals(ingested(folder).events)
    (books,) = (table for table in found.books.tables if table.name == "condition_occurrence")
    assert (books.read, books.kept) == (6, 5)


def test_two_schemas_with_a_person_want_a_name(loaded, tmp_path):
    url, _ = loaded
    folder = write_tables(tmp_path / "csv")
    load(url, folder, "other", names=("person",))
    with pytest.raises(InputMissing, match="tables named 'person'") as caught:
        ingested_from(OmopPlace(where=url), tmp_path / "timeline")
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA other CASCADE")
    assert PASSWORD not in str(caught.value)


def test_a_wrong_password_and_no_server_say_so_without_the_password(server, tmp_path):
    for url in (server.replace("salus:", "nobody:"), f"postgresql://salus:{PASSWORD}@127.0.0.1:9/postgres"):
        with pytest.raises(InputUnreadable, match="the database cannot be read") as caught:
            ingested_from(OmopPlace(where=url), tmp_path / "timeline")
        assert PASSWORD not in str(caught.value)
        assert not (tmp_path / "timeline").exists()
