"""Where the use cases on real records lie: packed into an installed Salus, beside ``src`` in a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import salus
from salus.errors import UnknownExample, nearest
from salus.programme.usecase_folder import UseCaseFolder

PACKED = Path(salus.__file__).parent / "examples"
CHECKOUT = Path(salus.__file__).parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One use case folder."""

    name: str
    folder: Path

    @property
    def source(self) -> Path:
        """How its files are read."""
        return self.folder / "source.yaml"

    @property
    def task(self) -> Path:
        """What is forecast."""
        return self.folder / "task.yaml"

    @property
    def described(self) -> tuple[Path, ...]:
        """What describes the use case: its YAML files and the digest its protocol was frozen with."""
        at = UseCaseFolder(self.folder)
        return (at.description, at.source, at.task, at.protocol, at.frozen)


def find_example(name: str) -> Example:
    """Find an example by its folder's name."""
    folders = {
        path.parent.name: path.parent for root in (CHECKOUT, PACKED) for path in root.glob("*/source.yaml")
    }
    if name not in folders:
        known = ", ".join(sorted(folders)) or "none: this installation has no examples"
        raise UnknownExample(
            f"there is no example {name!r}{nearest(name, folders)}",
            where="examples",
            fix=f"choose one of: {known}",
        )
    return Example(name, folders[name])
