"""The time, with the work of the graphics card done."""

from __future__ import annotations

import time

import torch


def now(device: torch.device) -> float:
    """Seconds, as `time.perf_counter`. A card works behind the program's back: without waiting for it, what one phase
    began would be charged to the next."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
