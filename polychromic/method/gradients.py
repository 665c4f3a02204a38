"""Gradients of the two terms kept apart until both are known, and checked."""

from __future__ import annotations

import math

import torch

from polychromic.errors import StudyError


class SeparateGradients:
    """Within the block, gradients start from nothing; on leaving, they are summed over processes and added to the old.

    The mapping it gives then holds the norms "quality" and "diversity", and their "ratio" (diversity / quality), which
    is left out where it is not finite: in fp16 a step that overflows is skipped, and must not spoil a mean.
    """

    def __init__(self, accelerator, parameters):
        self.accelerator, self.parameters = accelerator, list(parameters)

    def __enter__(self) -> dict[str, float]:
        self.before = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
        self.norms: dict[str, float] = {}
        return self.norms

    def __exit__(self, *error) -> None:
        new = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        if self.accelerator.num_processes > 1:
            new = [self.accelerator.reduce(gradient, "sum") for gradient in new]
        old = [gradient for gradient in self.before if gradient is not None]
        self.norms["quality"] = float(torch.nn.utils.get_total_norm(old)) if old else 0.0
        self.norms["diversity"] = float(torch.nn.utils.get_total_norm(new))
        ratio = self.norms["diversity"] / self.norms["quality"] if self.norms["quality"] else math.nan
        if math.isfinite(ratio):
            self.norms["ratio"] = ratio
        for parameter, before, gradient in zip(self.parameters, self.before, new, strict=True):
            parameter.grad = gradient if before is None else before.add_(gradient)


def check_gradients(named_parameters, step: int) -> None:
    """Raise StudyError if a gradient is not finite, naming its parameter and the step."""
    named = [(name, parameter.grad) for name, parameter in named_parameters if parameter.grad is not None]
    if named and not torch.nn.utils.get_total_norm([gradient for _, gradient in named]).isfinite():
        bad = next((name for name, gradient in named if not gradient.isfinite().all()), named[0][0])
        raise StudyError(
            f"step {step}: the gradient of {bad} is not finite. Nothing was updated. Lower the learning rate or the "
            "weight, or train in bf16 in place of fp16."
        )
