"""``salus serve`` as a process of its own: it says where it is, answers on this machine only, and ends quietly."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.served import SECONDS, Served
from tests.workspace_folder import workspace_folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace_folder(tmp_path_factory.mktemp("served"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start workspaces that are ended with the test."""
    started: list[Served] = []

    def start(root: Path, *options: str) -> Served:
        started.append(Served(root, tmp_path, *options))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait(SECONDS)


def test_it_says_where_it_is_answers_and_ends_with_ctrl_c(serve: Callable[..., Served], root: Path):
    served = serve(root)
    assert "Death on an invented ward" in httpx.get(served.url, timeout=SECONDS).text
    assert httpx.get(f"{served.url}usecases/ward/secret-path", timeout=SECONDS).status_code == 404
    assert served.interrupt() == 0
    assert served.said.splitlines() == [
        f"the workspace: {served.url}",
        "2 use cases: bare, ward",
        "only this machine can open it, and there is no sign-in yet; Ctrl-C stops it",
    ]
    assert served.complained.strip() == "the workspace is closed"  # and no line about who looked at what


def test_it_listens_on_this_machine_only(serve: Callable[..., Served], root: Path):
    url = serve(root).url
    port = httpx.URL(url).port
    assert port is not None
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
        pass
    strange = httpx.get(url, headers={"host": f"salus.example:{port}"}, timeout=SECONDS)
    assert strange.status_code == 400


def test_a_browser_that_keeps_its_connection_does_not_hold_it_up(serve: Callable[..., Served], root: Path):
    served = serve(root)
    with httpx.Client(base_url=served.url, timeout=SECONDS) as client:
        client.get("/")
        begun = time.monotonic()
        assert served.interrupt() == 0
        assert time.monotonic() - begun < 15


def test_a_port_that_is_taken_says_how_to_choose_another(root: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "salus", "serve", str(root), "--port", str(port), "--no-browser"]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert asked.returncode == 1
    assert f"[SAL-702] port {port} is taken by another program" in asked.stderr
    assert "--port" in asked.stderr


def test_a_folder_with_nothing_to_show_says_what_to_do(tmp_path: Path):
    command = [sys.executable, "-m", "salus", "serve", str(tmp_path), "--port", "0", "--no-browser"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert asked.returncode == 1
    assert "[SAL-701]" in asked.stderr
    assert "salus demo" in asked.stderr


def test_a_program_can_ask_for_the_address_as_json(serve: Callable[..., Served], root: Path):
    served = serve(root, "--json")
    assert served.interrupt() == 0
    assert json.loads(served.said) == {"url": served.url, "usecases": ["bare", "ward"]}


def test_the_help_says_that_there_is_no_sign_in():
    command = [sys.executable, "-m", "salus", "serve", "--help"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert "there is no sign-in yet" in " ".join(asked.stdout.split()).replace("- ", "-")
