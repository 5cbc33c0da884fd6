"""Every way on which a model, or a model and records, becomes something: which of them the lock is on, and why not.

Synthetic records, and models that learnt from them alone, are for learning, drawing and comparing. Where something is
said about a patient or written back, they are refused (:mod:`salus.programme.lock`). A module that reads a model or
writes to a record and is not in this table fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way: the module on it, what it gives, what the lock refuses on it, and why where it refuses nothing.

    ``refuses``: synthetic ``records``, a ``model`` that learnt from them alone, or both.
    """

    name: str
    module: str
    gives: str
    refuses: tuple[str, ...] = ()
    why_open: str = ""


BOTH = ("records", "model")


ROUTES: tuple[Route, ...] = (
    Route(name="forecast", module="workflows/forecast.py", gives="risks of patients", refuses=BOTH),
    Route(
        name="simulate", module="workflows/simulate.py", gives="risks of patients in two arms", refuses=BOTH
    ),
    Route(name="futures", module="workflows/futures.py", gives="pages of patients' futures", refuses=BOTH),
    Route(
        name="complete",
        module="workflows/complete.py",
        gives="facts in patients' records",
        refuses=("model",),
    ),
    Route(
        name="early-warning propose",
        module="usecases/early_warning/kind.py",
        gives="risks for care",
        refuses=BOTH,
    ),
    Route(
        name="early-warning write",
        module="usecases/early_warning/kind.py",
        gives="risks in a server's records",
        refuses=BOTH,
    ),
    Route(
        name="synthesis write",
        module="usecases/synthesis/kind.py",
        gives="synthetic patients on a server",
        refuses=BOTH,
    ),
    Route(
        name="synthesis propose",
        module="usecases/synthesis/drawing.py",
        gives="synthetic patients",
        why_open="says nothing about a patient; what is drawn carries the label",
    ),
    Route(
        name="early-warning forecasting",
        module="usecases/early_warning/forecasting.py",
        gives="risks for the kind's propose",
        why_open="is reached through propose alone, where the lock is",
    ),
    Route(
        name="use case",
        module="usecases/opened.py",
        gives="what lies in a folder, for the kinds",
        why_open="gives nothing on; propose and write of every kind meet the lock",
    ),
    Route(
        name="generate",
        module="workflows/generate.py",
        gives="a synthetic timeline",
        why_open="says nothing about a patient; what is drawn carries the label",
    ),
    Route(
        name="generate given",
        module="workflows/generate_given.py",
        gives="a synthetic timeline",
        why_open="says nothing about a patient; what is drawn carries the label",
    ),
    Route(
        name="embed",
        module="workflows/embed.py",
        gives="vectors for other models",
        why_open="a tool for training; the file says what of its origin is synthetic",
    ),
    Route(
        name="describe",
        module="workflows/describe.py",
        gives="a model's card",
        why_open="shows the label itself",
    ),
    Route(
        name="membership",
        module="workflows/membership.py",
        gives="attacks on a model",
        why_open="compares; gives findings and nothing about a patient",
    ),
    Route(
        name="attack",
        module="workflows/attack_material.py",
        gives="attacks on a model and on synthetic sets",
        why_open="compares; gives findings and nothing about a patient",
    ),
    Route(
        name="audit",
        module="workflows/audit.py",
        gives="a lower bound on what a model gives away",
        why_open="compares; gives findings and nothing about a patient",
    ),
    Route(
        name="canaries",
        module="workflows/canaries_file.py",
        gives="who was left out of training, for audits",
        why_open="gives numbers of patients and nothing about them",
    ),
    Route(
        name="reference models",
        module="workflows/reference_models.py",
        gives="membership attacks by models of halves",
        why_open="compares; gives findings and nothing about a patient",
    ),
    Route(
        name="erase",
        module="workflows/erase.py",
        gives="a model trained again without a patient",
        why_open="learns; says nothing about a patient",
    ),
    Route(
        name="pieces of work",
        module="trajectory/sending.py",
        gives="a model in another process",
        why_open="is sent by the jobs above, after they met the lock",
    ),
)


def locked_routes() -> tuple[str, ...]:
    """The names of the routes that the lock is on."""
    return tuple(route.name for route in ROUTES if route.refuses)
