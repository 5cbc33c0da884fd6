"""The kinds of use case, found by their folders: whoever adds one adds a folder here and changes nothing else.

A kind is a folder with a module ``kind.py`` that holds ``KIND``. The folder ``early_warning`` is the kind
``early-warning``.
"""

from __future__ import annotations

import importlib
import pkgutil
from datetime import datetime

import polars as pl

from salus import usecases
from salus.errors import KindUnknown, nearest
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.usecases.contract import UseCaseKind
from salus.usecases.opened import Kind, Opened


def kind_names() -> tuple[str, ...]:
    """Every kind there is, in order of the alphabet."""
    folders = [module.name for module in pkgutil.iter_modules(usecases.__path__) if module.ispkg]
    return tuple(sorted(folder.replace("_", "-") for folder in folders))


def find_kind(name: str) -> Kind:
    """Load one kind.

    >>> find_kind("synthesis").name
    'synthesis'
    """
    if name not in kind_names():
        raise KindUnknown(
            f"there is no kind of use case '{name}'{nearest(name, kind_names())}",
            where="usecase.yaml",
            fix=f"use one of: {', '.join(kind_names())}",
        )
    module = importlib.import_module(f"{usecases.__name__}.{name.replace('-', '_')}.kind")
    kind = module.KIND
    if not isinstance(kind, Kind) or kind.name != name:
        raise KindUnknown(
            f"the folder of '{name}' holds no kind of that name",
            where=f"usecases/{name.replace('-', '_')}/kind.py",
            fix=f"write KIND = Kind(name='{name}', ...) there",
        )
    return kind


def open_usecase(folder: UseCaseFolder, *, now: datetime, record: pl.DataFrame | None = None) -> UseCaseKind:
    """Open a use case: the kind that its usecase.yaml names, bound to what lies in the folder.

    ``now`` (with its zone) decides what has expired. ``record``: events of patients to answer for, in the columns of a
    timeline; without it the held-out patients of the folder. Raises UseCaseFileError (SAL-651), UseCaseValueError
    (SAL-652), KindUnknown (SAL-653).
    """
    usecase = read_usecase(folder.description)
    return find_kind(usecase.kind).open(Opened(folder, usecase, now=now, record=record))
