"""On what the network computes: the processor, or a graphics card where there is one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import TypeVar

import torch
from torch import Tensor, nn

from salus.errors import SettingsRefused

Held = TypeVar("Held")


class Device(StrEnum):
    """Where to compute; auto: on a graphics card (CUDA) if there is one, else on the processor."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def device_for(asked: Device) -> torch.device:
    """The device that is meant. Raises SettingsRefused (SAL-308) where there is none of the kind."""
    there = torch.cuda.is_available()
    if asked is Device.CUDA and not there:
        raise SettingsRefused(
            "this machine has no graphics card that torch can use (CUDA)",
            where="--device",
            fix="leave it out, or give --device cpu; a torch built for CUDA and its driver are needed for the card",
        )
    return torch.device("cuda" if there and asked is not Device.CPU else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights lie."""
    return next(network.parameters()).device


def on(device: torch.device) -> AbstractContextManager[object]:
    """Make new tensors there. On the processor nothing is to be done, and the switch would slow every call."""
    return nullcontext() if device.type == "cpu" else device


def moved(held: Held, device: torch.device) -> Held:
    """The same with every tensor in it on the device: a tensor, a tuple or a dataclass of them, or neither."""
    if device.type == "cpu":
        return held
    if isinstance(held, Tensor):
        return held.to(device)  # type: ignore[return-value]
    if isinstance(held, tuple):
        parts = [moved(part, device) for part in held]
        return type(held)(*parts) if hasattr(held, "_fields") else type(held)(parts)
    if is_dataclass(held) and not isinstance(held, type):
        return replace(held, **{one.name: moved(getattr(held, one.name), device) for one in fields(held)})
    return held
