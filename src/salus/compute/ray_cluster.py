"""A Ray cluster to run on: reached, checked node by node, and left again. Ray, an extra, is imported here alone.

Where work runs never changes what it gives. That is why nothing below takes a cluster as an argument: a command opens
one with ``with ray_cluster(address):`` and what can be spread asks :func:`current_cluster`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import salus
from salus.compute.crew import Crew, Tally
from salus.errors import ClusterUnfit, ClusterUnreachable, RayMissing

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

KNOCK_SECONDS = 3.0
PROBE_SECONDS = 60.0
PACKAGES = ("torch", "numpy", "polars")
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""What a gRPC client says first: the preface of HTTP/2 and an empty SETTINGS frame."""
SETTINGS_FRAME = 4


@dataclass(slots=True)
class RayCluster:
    """A Ray cluster this run is connected to. ``processors``: those that were Ray's to use when it was reached.

    ``tally``: what its crews cost so far.
    """

    ray: Any
    nodes: int
    processors: int
    tally: Tally = field(default_factory=Tally)

    def crew(
        self, make: Callable[..., Callable[[Asked, Any], Answer]], *material: object, most: int
    ) -> Crew[Asked, Answer]:
        """Seat up to ``most`` members, one a processor, each with what ``make(*material)`` gives it to answer with.

        ``material`` is sent once and lies once on each node, however many members sit there.
        """
        return Crew(self.ray, make, material, seats=min(most, self.processors), tally=self.tally)


_CURRENT: ContextVar[RayCluster | None] = ContextVar("cluster", default=None)


def current_cluster() -> RayCluster | None:
    """The cluster that the running command opened; None: this machine's processes."""
    return _CURRENT.get()


def cpu_seconds_elsewhere() -> float:
    """Processor seconds that the cluster's processes have spent for this command so far."""
    cluster = current_cluster()
    return cluster.tally.cpu_seconds if cluster else 0.0


@contextmanager
def ray_cluster(address: str | None) -> Iterator[RayCluster | None]:
    """Run what can be spread on the cluster whose head node listens at ``address`` (host:port); None: here.

    Raises RayMissing (SAL-508), ClusterUnreachable (SAL-509: nobody answers), ClusterUnfit (SAL-510: a node has other
    versions, or no processor is left).
    """
    if address is None:
        yield None
        return
    ray = _load_ray()
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _unreachable(address, f"Ray refuses: {said}") from error
    try:
        cluster = _checked(ray)
        token = _CURRENT.set(cluster)
        try:
            # Ray prints pages of its own logs there when a node dies. The tally says that in a word.
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                yield cluster
        finally:
            _CURRENT.reset(token)
    finally:
        ray.shutdown()


def _load_ray() -> Any:
    """Import Ray with its reports to its makers and its remarks switched off."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise RayMissing(
            "Ray is not installed here",
            where="--ray",
            fix="pip install 'salus[cluster]', with the same versions on every node",
        ) from error
    return ray


def _knock(address: str) -> None:
    """Find out in seconds whether anything like Ray listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise _unreachable(address, "an address looks like 10.0.0.1:6379")
    try:
        with socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS) as line:
            if os.environ.get("RAY_USE_TLS") == "1":
                return
            line.settimeout(KNOCK_SECONDS)
            line.sendall(HTTP2_HELLO)
            said = line.recv(9)
    except (OSError, OverflowError) as error:
        raise _unreachable(address, "nobody listens there, or a firewall is between") from error
    if len(said) < SETTINGS_FRAME or said[3] != SETTINGS_FRAME:
        raise _unreachable(address, "what listens there is not Ray, or speaks TLS (RAY_USE_TLS=1)")


def _unreachable(address: str, why: str) -> ClusterUnreachable:
    return ClusterUnreachable(
        f"no Ray cluster can be reached at '{address}': {why}",
        where="--ray",
        fix="on the head node `ray start --head --port 6379`, on this machine `ray start --address HEAD:6379`, "
        "then --ray HEAD:6379",
    )


def _checked(ray: Any) -> RayCluster:
    """Ask every node for its versions; other code would give other numbers, or none. Who has just died is left out."""
    ask = ray.remote(num_cpus=0, max_retries=2)(versions_here)
    place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"]]
    answers = [
        ask.options(scheduling_strategy=place(node_id=node["NodeID"], soft=False)).remote() for node in nodes
    ]
    here, there = versions_here(), []
    for node, answer in zip(nodes, answers, strict=True):
        name = node["NodeManagerAddress"]
        try:
            found = ray.get(answer, timeout=PROBE_SECONDS)
        except (ray.exceptions.RayTaskError, ray.exceptions.GetTimeoutError) as error:
            raise _unfit(f"node {name} cannot load this Salus, or does not answer") from error
        except ray.exceptions.RayError:
            continue
        there.append(node)
        for what, wanted in here.items():
            if found[what] != wanted:
                raise _unfit(f"node {name} has {what} {found[what]}, this machine {wanted}")
    processors = int(sum(node["Resources"].get("CPU", 0) for node in there))
    if not processors:
        raise ClusterUnfit(
            "the cluster has no processor for us",
            where="--ray",
            fix="start its nodes with `ray start … --num-cpus N`",
        )
    return RayCluster(ray, nodes=len(there), processors=processors)


def _unfit(what: str) -> ClusterUnfit:
    return ClusterUnfit(
        what,
        where="--ray",
        fix="install the same on every node (pip install -c constraints.txt 'salus[cluster]') and start Ray there "
        "from that environment",
    )


def versions_here() -> dict[str, str]:
    """What must be the same on every node for the same numbers; runs on each."""
    folder = Path(salus.__file__).parent
    code = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "code of Salus": code.hexdigest()[:12],
    }
