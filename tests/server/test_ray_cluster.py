"""A real Ray cluster of two nodes on this machine: the same numbers as without it, whoever is killed on the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import polars as pl
import psutil
import pytest

from salus.compute.ray_cluster import RayCluster, current_cluster, ray_cluster
from salus.errors import ClusterUnreachable
from salus.findings import file_digest
from salus.progress import QUIET, Progress, Step
from salus.timeline.store import read_timeline
from salus.trajectory.artefact import Lineage, Model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.generate import CHUNK, generate
from tests.small_ward import CODES, SETTINGS, ward

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported
cluster_utils = pytest.importorskip(
    "ray.cluster_utils", reason="Ray is not installed (pip install '.[cluster]')"
)

STORE_BYTES = 80 * 2**20
LESSONS = prepare(ward(100), CODES, SETTINGS)
QUICK = TrainSettings(minutes=24 * 60, width=16, share_facts=60, most_epochs=3, averaging=0.9, patience=60)
PATIENTS = 5 * CHUNK + 7
LINEAGE = Lineage(
    salus="0", torch="0", timeline_digest="0", data_set="invented ward", splits="", patients_train=60,
    patients_tuning=20, facts_after_death=0, hardware={},
)  # fmt: skip


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """The address of a cluster of two nodes with a processor each."""
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained without a cluster."""
    folder = tmp_path_factory.mktemp("alone")
    network, log = fit(LESSONS, settings=QUICK, checkpoint=folder / "run", progress=QUIET)
    (folder / "model").mkdir()
    made = Model(
        network=network,
        vocabulary=LESSONS.vocabulary,
        settings=QUICK,
        log=log,
        lineage=LINEAGE,
        codes=CODES.to_dicts(),
    )
    save_model(made, folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def alone(model: Path) -> Path:
    """Patients drawn without a cluster."""
    generate(model, model.parent / "drawn", patients=PATIENTS, seed=1, progress=QUIET)
    return model.parent / "drawn"


def idle_members() -> list[psutil.Process]:
    """Members of crews who wait for a question; the nodes are children of this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if child.cmdline()[:1] == ["ray::_Member"]:
                found.append(child)
    return found


class Killing:
    """Progress that ends a member of the crew with kill -9 when work has advanced ``after`` times.

    While this waits nobody is asked anything, so that both members fall idle. One is halted; a second later, when it
    holds a question that it cannot have answered, it is killed.
    """

    def __init__(self, after: int) -> None:
        self.after, self.advanced = after, 0
        self.others = idle_members()  # of a crew before, about to end
        self.killed: list[int] = []

    @contextmanager
    def step(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Step]:
        yield self

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.advanced += 1
        if self.advanced == self.after:
            deadline = time.monotonic() + 20
            while len(idle := [one for one in idle_members() if one not in self.others]) < 2:
                assert time.monotonic() < deadline, "the crew is not complete"
                time.sleep(0.1)
            idle[0].suspend()
            Timer(1.0, self._kill, [idle[0]]).start()

    def _kill(self, unlucky: psutil.Process) -> None:
        unlucky.kill()
        self.killed.append(unlucky.pid)


def digests(folder: Path) -> dict[str, str]:
    """Every file with what is in it."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def draw(model: Path, to: Path, *, head: str, progress: Progress = QUIET) -> RayCluster:
    """Draw on the cluster."""
    with ray_cluster(head):
        generate(model, to, patients=PATIENTS, seed=1, progress=progress)
        cluster = current_cluster()
        assert cluster is not None
        return cluster


def test_patients_drawn_on_two_nodes_are_those_drawn_on_one_machine(head, model, alone, tmp_path):
    cluster = draw(model, tmp_path / "drawn", head=head)
    assert (cluster.nodes, cluster.processors, cluster.tally.lost) == (2, 2, 0)
    assert cluster.tally.cpu_seconds > 0
    assert digests(tmp_path / "drawn") == digests(alone)


def test_a_node_s_process_killed_while_drawing_loses_and_doubles_nobody(head, model, alone, tmp_path):
    """Its chunk is drawn again elsewhere: every patient from 1 to the last once, and the same bytes."""
    killing = Killing(after=1)
    cluster = draw(model, tmp_path / "drawn", head=head, progress=killing)
    assert (len(killing.killed), cluster.tally.lost) == (1, 1)
    entered = read_timeline(tmp_path / "drawn").filter(pl.col("code") == "WARD//ENTRY")
    assert entered["subject_id"].to_list() == list(range(1, PATIENTS + 1))
    assert digests(tmp_path / "drawn") == digests(alone)


@pytest.mark.parametrize("listening", ["nobody", "something else"])
def test_a_wrong_address_is_told_within_seconds(listening):
    """Ray itself would go on trying for minutes."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if listening == "something else":
            door.listen()
        began = time.monotonic()
        refused = pytest.raises(ClusterUnreachable, match="no Ray cluster can be reached")
        with refused, ray_cluster(f"127.0.0.1:{door.getsockname()[1]}"):
            pass
        assert time.monotonic() - began < 10


def test_without_ray_the_command_says_what_to_install(tmp_path):
    """A Python that does not find Ray, as after `pip install salus`."""
    script = (
        "import sys; sys.modules['ray'] = None\n"
        "from salus.cli import main\n"
        "sys.exit(main(['generate', 'model', '--to', 'drawn', '--ray', '127.0.0.1:6379']))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert said.returncode == 1
    assert "[SAL-508] Ray is not installed here" in said.stderr
    assert "pip install 'salus[cluster]'" in said.stderr
