"""The lock of a use case: what is synthetic in it, and whether its own gate opens it."""

from __future__ import annotations

import polars as pl

from salus.errors import SyntheticLocked
from salus.programme.lock import ABOUT_FORECASTS, Used, why_not_cleared
from salus.timeline.label import DRAWN
from salus.usecases.opened import Opened


def used_by(opened: Opened, route: str, *, writes_synthetic: bool = False) -> Used:
    """What would be used on a route; what a kind writes may be synthetic by its nature."""
    model = opened.model
    return Used(
        route=route,
        model=model.digest if model else "",
        records_synthetic=writes_synthetic or _records_synthetic(opened),
        model_synthetic=model is not None and model.lineage.synthetic,
    )


def why_locked(opened: Opened, used: Used, *, about: str = ABOUT_FORECASTS) -> str:
    """Why what is synthetic may not be used; empty where nothing is, or the gate has passed on real records."""
    if not used.synthetic:
        return ""
    standing = opened.standing
    if standing.trouble or standing.judgement is None:
        return f"nobody can say whether it may be used: {standing.trouble}"
    return why_not_cleared(
        standing.judgement,
        opened.bundle,
        real=not opened.settings.synthetic,
        model=used.model,
        about=about,
    )


def check_open(opened: Opened, route: str) -> None:
    """Refuse to say anything about a patient from what is synthetic. Raises SyntheticLocked (SAL-477)."""
    used = used_by(opened, route)
    why = why_locked(opened, used)
    if why:
        raise SyntheticLocked(
            f"{route} is locked for {used.synthetic}: {why}",
            where=opened.folder.name,
            fix="use real records and a model that learnt from them, or measure this model on real records first",
        )


def _records_synthetic(opened: Opened) -> bool:
    """Those of the folder say it in its settings; rows that are given say it themselves where a model drew them."""
    if opened.record is None:
        return opened.settings.synthetic
    return bool(opened.events.select((pl.col("source") == DRAWN).fill_null(False).any()).item())
