"""A real Ray cluster of two nodes on this machine: the same numbers as without it, whoever is killed on the way."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

import polars as pl
import psutil
import pytest
import torch
from torch import Tensor

import salus
from salus.compute.ray_cluster import RayCluster, ray_cluster
from salus.errors import ClusterUnreachable, WorkerLost
from salus.findings import file_digest
from salus.progress import QUIET, Progress, Step
from salus.timeline.store import read_timeline
from salus.trajectory.artefact import Lineage, Model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainLog, TrainSettings, fit
from salus.workflows.generate import CHUNK, generate
from tests.small_ward import CODES, SETTINGS, ward

PACKAGE = Path(salus.__file__).parent
ROOT = Path(__file__).parents[2]
MISSING = "Ray is not installed (pip install '.[cluster]')"

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
LESSONS = prepare(ward(100), CODES, SETTINGS)
QUICK = TrainSettings(
    minutes=24 * 60,
    width=16,
    share_facts=25,
    most_epochs=3,
    averaging=0.9,
    patience=60,
    most_gap=1.0,
    workers=3,
)
PATIENTS = 5 * CHUNK + 7
LINEAGE = Lineage(
    salus="0", torch="0", timeline_digest="0", data_set="invented ward", splits="", patients_train=60,
    patients_tuning=20, facts_after_death=0, hardware={},
)  # fmt: skip


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with a processor each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason=MISSING)
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.add_node(**NODE)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def head(nodes: Any) -> str:
    """The address to give with --ray."""
    return nodes.address


class Alone(NamedTuple):
    """What was made without a cluster: a model's weights, log and folder, and patients drawn from it."""

    weights: dict[str, Tensor]
    log: TrainLog
    model: Path
    drawn: Path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
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
    generate(folder / "model", folder / "drawn", patients=PATIENTS, seed=1, progress=QUIET)
    return Alone(network.state_dict(), log, folder / "model", folder / "drawn")


def idle_members() -> list[psutil.Process]:
    """Members of crews who wait for a question; the nodes are children of this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if child.cmdline()[:1] == ["ray::_Member"]:
                found.append(child)
    return found


class Watching:
    """Progress that does something when work has advanced ``after`` times."""

    def __init__(self, after: int) -> None:
        self.after, self.advanced = after, 0

    @contextmanager
    def step(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Step]:
        yield self

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.advanced += 1
        if self.advanced == self.after:
            self.act()

    def act(self) -> None:
        raise NotImplementedError


class Ending(Watching):
    """As when a person presses Ctrl-C."""

    def act(self) -> None:
        raise KeyboardInterrupt


class Killing(Watching):
    """Ends a member of the crew with kill -9.

    While this waits nobody is asked anything, so that both members fall idle. One is halted; half a second later, when
    it holds a question that it cannot have answered, it is killed.
    """

    def __init__(self, after: int) -> None:
        super().__init__(after)
        self.others = idle_members()  # of a crew before, about to end
        self.killed: list[int] = []

    def act(self) -> None:
        deadline = time.monotonic() + 20
        while len(idle := [one for one in idle_members() if one not in self.others]) < 2:
            assert time.monotonic() < deadline, "the crew is not complete"
            time.sleep(0.1)
        idle[0].suspend()
        Timer(0.5, self._kill, [idle[0]]).start()

    def _kill(self, unlucky: psutil.Process) -> None:
        unlucky.kill()
        self.killed.append(unlucky.pid)


class Unplugging(Watching):
    """Ends a whole node with kill -9: Ray's own process there, and every other."""

    def __init__(self, after: int, nodes: Any, node: object) -> None:
        super().__init__(after)
        self.nodes, self.node = nodes, node

    def act(self) -> None:
        self.nodes.remove_node(self.node, allow_graceful=False)


def digests(folder: Path) -> dict[str, str]:
    """Every file with what is in it."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def learn(head: str, run: Path, *, progress: Progress = QUIET) -> tuple[dict[str, Tensor], TrainLog, int]:
    """Train on the cluster: the weights, the log, and how many members were lost."""
    with ray_cluster(head) as cluster:
        network, log = fit(LESSONS, settings=QUICK, checkpoint=run, progress=progress)
        return network.state_dict(), log, cluster.tally.lost


def draw(model: Path, to: Path, *, head: str, progress: Progress = QUIET) -> RayCluster:
    """Draw on the cluster."""
    with ray_cluster(head) as cluster:
        generate(model, to, patients=PATIENTS, seed=1, progress=progress)
        return cluster


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """The same weights to the last bit."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


def test_training_on_two_nodes_gives_the_weights_of_one_machine(head, alone, tmp_path):
    """Three shares a step over two members: one of them computes two."""
    weights, log, lost = learn(head, tmp_path / "run")
    assert lost == 0
    assert log.steps == alone.log.steps > 15
    assert_same(weights, alone.weights)


def test_a_node_s_process_killed_while_training_changes_no_weight(head, alone, tmp_path):
    """Its share is computed again elsewhere, from the same weights and seed."""
    killing = Killing(after=10)
    weights, log, lost = learn(head, tmp_path / "run", progress=killing)
    assert (len(killing.killed), lost) == (1, 1)
    assert log.steps == alone.log.steps
    assert_same(weights, alone.weights)


def test_training_goes_on_from_its_last_check_when_the_driver_ended(head, alone, tmp_path):
    """Ended at its eleventh step, after the first check: a second run of the same settings ends where one run does."""
    with pytest.raises(KeyboardInterrupt):
        learn(head, tmp_path / "run", progress=Ending(after=11))
    weights, log, _ = learn(head, tmp_path / "run")
    assert log.steps == alone.log.steps
    assert_same(weights, alone.weights)


def test_a_node_s_process_killed_while_drawing_loses_and_doubles_nobody(head, alone, tmp_path):
    """Its chunk is drawn again elsewhere: every patient from 1 to the last once, and the bytes of one machine."""
    killing = Killing(after=1)
    cluster = draw(alone.model, tmp_path / "drawn", head=head, progress=killing)
    assert (cluster.nodes, cluster.processors) == (2, 2)
    assert (len(killing.killed), cluster.tally.lost) == (1, 1)
    assert cluster.tally.cpu_seconds > 0
    entered = read_timeline(tmp_path / "drawn").filter(pl.col("code") == "WARD//ENTRY")
    assert entered["subject_id"].to_list() == list(range(1, PATIENTS + 1))
    assert digests(tmp_path / "drawn") == digests(alone.drawn)


def test_a_question_that_kills_whoever_takes_it_ends_the_run(head):
    """As a share too large for the nodes' memory would; the other question does not hide it."""
    deadly = eval(
        "lambda: lambda question, _: question and __import__('os')._exit(1)", {"__name__": "__main__"}
    )
    gives_up = pytest.raises(WorkerLost, match="members keep dying over the same work")
    with gives_up, ray_cluster(head) as cluster, cluster.crew(deadly, most=2) as crew:
        list(crew.answers([0, 1]))


def test_a_node_with_other_code_is_refused(head, tmp_path):
    """This machine's Salus has a line that the nodes' has not."""
    shutil.copytree(PACKAGE, tmp_path / "salus", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "salus" / "units.py").open("a") as code:
        code.write("# another version\n")
    said = subprocess.run(
        [sys.executable, "-P", "-m", "salus", "generate", "model", "--to", "drawn", "--ray", head],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert "[SAL-510] node" in said.stderr
    assert "has code of Salus" in said.stderr


def test_a_node_that_is_unplugged_while_training_changes_no_weight(nodes, head, alone, tmp_path):
    """Three nodes with a member each, two from the tenth step on. Last: Ray takes its time to bury a node."""
    third = nodes.add_node(**NODE)
    weights, log, lost = learn(head, tmp_path / "run", progress=Unplugging(10, nodes, third))
    assert lost == 1
    assert log.steps == alone.log.steps
    assert_same(weights, alone.weights)


@pytest.mark.parametrize("listening", ["nobody", "something else"])
def test_a_wrong_address_is_told_within_seconds(listening):
    """Ray itself would go on trying for minutes."""
    pytest.importorskip("ray", reason=MISSING)
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


def test_an_error_that_a_process_elsewhere_raises_arrives_whole():
    told = pickle.loads(pickle.dumps(ClusterUnreachable("nobody is there", where="--ray", fix="start it")))
    assert isinstance(told, ClusterUnreachable)
    assert str(told) == "[SAL-509] nobody is there\n  where: --ray\n  fix:   start it"
