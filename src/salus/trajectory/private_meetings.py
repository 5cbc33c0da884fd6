"""Where parameters meet patients: watching a network compute, whatever its modules are called.

A tensor is **data** when it was computed from a batch, **shared** when it was computed from parameters alone. Each
operation on both is a meeting; the few kinds that the network uses are known here, and any other is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Meeting(NamedTuple):
    """Rows (N, …) met ``shared``: what of the rows its gradient needs, and what came out, (N, …)."""

    kind: str
    shared: Tensor
    inputs: Tensor
    out: Tensor


class UnknownMeeting(RuntimeError):
    """A parameter meets rows of patients in a way whose gradient is not known here."""


class InFloat32(TorchFunctionMode):
    """Computes in float32 whatever precision the network asks for: one patient must not depend on others' rounding."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute as if nothing else had been asked for."""
        with torch.autocast("cpu", enabled=False):
            return func(*args, **(kwargs or {}))


class Watch(TorchFunctionMode):
    """Notes every meeting while it is entered. Shared tensors take part as constants: rows alone have gradients.

    All is in float32, as :class:`InFloat32` has it.
    """

    def __init__(self, parameters: Iterable[Tensor], data: Iterable[Tensor]) -> None:
        super().__init__()
        self.meetings: list[Meeting] = []
        self.shared = {id(value): value for value in parameters}
        self.data = {id(value): value for value in data}
        self.last: dict[int, tuple[int, Tensor]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute, and note what it was computed from."""
        given = kwargs or {}
        tensors = list(_tensors((args, given)))
        from_data = any(id(one) in self.data for one in tensors)
        from_shared = any(id(one) in self.shared for one in tensors)
        if not from_data:
            with torch.autocast("cpu", enabled=False):
                out = func(*args, **given)
            if from_shared:
                self.shared.update({id(one): one for one in _tensors(out) if one.requires_grad})
            return out
        with torch.autocast("cpu", enabled=False):
            out = self._meet(func, args, given) if from_shared else self._apart(func, args, given)
        self.data.update({id(one): one for one in _tensors(out)})
        return out

    def _apart(self, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """Rows alone; but a shared row put behind them is met by whoever chooses it."""
        out = func(*args, **given)
        if _name(func) == "index_select" and id(args[0]) in self.last:
            first, shared = self.last[id(args[0])]
            behind = args[2] - first
            if bool((behind >= 0).any()):
                return self.note("choice", shared, behind, out)
        return out

    def _meet(self, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        name = _name(func)
        if name not in KNOWN:
            raise UnknownMeeting(f"'{name}' of a parameter and patients")
        return KNOWN[name](self, func, args, given)

    def is_shared(self, one: object) -> bool:
        """Whether it is computed from parameters alone."""
        return isinstance(one, Tensor) and id(one) in self.shared

    def note(self, kind: str, shared: Tensor, inputs: Tensor, out: Tensor) -> Tensor:
        """Write one meeting down."""
        if not out.requires_grad:
            out.requires_grad_(True)
        self.meetings.append(Meeting(kind, shared, inputs.detach(), out))
        return out


Handler = Callable[[Watch, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Tensor]


def _linear(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """Rows times the transpose of a shared matrix, with or without a shared bias."""
    rows, weight, bias = (*args, given.get("bias"))[:3]
    if watch.is_shared(rows):
        raise UnknownMeeting("a shared tensor times a matrix made of patients")
    out = F.linear(rows, weight.detach(), None if bias is None else bias.detach())
    watch.note("product", weight, rows, out)
    if bias is not None:
        watch.note("sum", bias, out, out)
    return out


def _matmul(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """Rows times a shared matrix."""
    rows, table = args
    if watch.is_shared(rows) or table.dim() != 2:
        raise UnknownMeeting("a shared tensor times a matrix made of patients")
    return watch.note("product turned", table, rows, rows @ table.detach())


def _chosen(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """Rows of a shared table, chosen by patients."""
    name = _name(func)
    if name == "embedding":
        places, table = args[:2]
    else:
        table, places = args[0], args[2] if name == "index_select" else args[1]
    plain = isinstance(places, Tensor) and places.dtype == torch.int64
    if not plain or not watch.is_shared(table) or (name == "index_select" and args[1] != 0):
        raise UnknownMeeting(f"'{name}' of a table made of patients, or not by number")
    return watch.note("choice", table, places, F.embedding(places, table.detach()))


def _norm(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """Rows scaled to mean 0 and variance 1, then by a shared scale, plus a shared shift."""
    rows, shape, weight, bias, eps = args if len(args) == 5 else _norm_arguments(args, given)
    scaled = F.layer_norm(rows, shape, None, None, eps)
    out = scaled * weight.detach() + bias.detach()
    watch.note("scale", weight, scaled, out)
    return watch.note("sum", bias, out, out)


def _norm_arguments(args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, ...]:
    named = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | given
    known = {"eps": 1e-5} | named
    return tuple(known.get(name) for name in ("input", "normalized_shape", "weight", "bias", "eps"))


def _add(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """A shared row added to every row of patients."""
    one, other = args
    rows, shift = (other, one) if watch.is_shared(one) else (one, other)
    if given or shift.dim() != 1 or rows.shape[-1] != shift.shape[0]:
        raise UnknownMeeting("more than a shared row is added to patients")
    out = rows + shift.detach()
    return watch.note("sum", shift, out, out)


def _cat(watch: Watch, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    """Shared rows put behind rows of patients: nobody's, until somebody chooses one of them."""
    parts, dim = args[0], given.get("dim", args[1] if len(args) > 1 else 0)
    *before, last = parts
    if dim != 0 or any(watch.is_shared(one) for one in before):
        raise UnknownMeeting("shared rows before or among those of patients")
    out = torch.cat([*before, last.detach()])
    watch.last[id(out)] = (len(out) - len(last), last)
    return out


KNOWN: dict[str, Handler] = {
    "linear": _linear,
    "matmul": _matmul,
    "embedding": _chosen,
    "index_select": _chosen,
    "__getitem__": _chosen,
    "layer_norm": _norm,
    "add": _add,
    "cat": _cat,
}


def _name(func: Callable[..., Any]) -> str:
    return str(getattr(func, "__name__", func))


def _tensors(held: object) -> Iterator[Tensor]:
    """Every tensor in nested lists and dictionaries."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, dict):
        for one in held.values():
            yield from _tensors(one)
    elif isinstance(held, (tuple, list)):
        for one in held:
            yield from _tensors(one)
