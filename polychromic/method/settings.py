"""The settings of the objective and their defaults, declared once. Free of imports, for the trainer and the study."""

from __future__ import annotations

from dataclasses import dataclass, field


def _setting(default, help: str):
    return field(default=default, metadata={"help": help})


@dataclass
class ObjectiveSettings:
    """L = quality - weight * E[D]; docs/settings.md says how to choose them."""

    quality: str = _setting(
        "ce", "Quality term: ce, gem, gem_logsigmoid, dco, tofu, dft, eaft, entropy, or one of your own."
    )
    quality_beta: float = _setting(0.7, "The temperature of GEM and TOFU, or the weight of the entropy bonus.")
    focal_gamma: float = _setting(3.0, "TOFU's exponent: how little is learned from likely tokens.")
    dco_samples: int = _setting(10, "N of DCO's pass@N loss.")
    weight: float = _setting(0.3, "lambda; 0 is standard LoRA. Try 0.1 to 0.5.")
    samples: int = _setting(4, "N: samples a prompt at a diversity step, at least 2.")
    every: int = _setting(5, "m: a diversity step every m optimiser steps, with weight m.")
    prompts: int = _setting(16, "Prompts of a diversity step, over all processes.")
    temperature: float = _setting(0.9, "Temperature of the training samples.")
    top_p: float = _setting(1.0, "Nucleus of the training samples.")
    max_new_tokens: int = _setting(100, "Longest training sample, in tokens.")
    score_tokens: int = _setting(
        2000, "Tokens scored in one backward pass, prompts and padding included; halved where memory is too small."
    )
