"""Fine-tune for the best of k with your own D: how far the numbers in two answers lie apart.

    python examples/own_diversity.py MODEL OUT [--steps 100]

MODEL is a hub id or a folder, such as Qwen/Qwen3-0.6B; OUT gets the adapter and the log.
"""

from __future__ import annotations

import argparse
import re
from itertools import product

from peft import LoraConfig

from polychromic import PolychromicConfig, PolychromicTrainer, own_measure

ROWS = [
    {"prompt": f"Write a sum that makes {total}.\n", "completion": f"{first} + {total - first}"}
    for total, first in product(range(4, 20), (1, 2))
]


def distances(texts: list[str]) -> list[list[float]]:
    """1 for two answers with other numbers in them, else 0: [N, N]."""
    numbers = [re.findall(r"\d+", text) for text in texts]
    return [[float(one != other) for other in numbers] for one in numbers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    trainer = PolychromicTrainer(
        options.model,
        PolychromicConfig(
            options.out, weight=0.3, samples=6, every=5, prompts=4, max_new_tokens=16,
            max_steps=options.steps, learning_rate=2e-4, logging_steps=5, report_to="none",
        ),
        ROWS,
        measure=own_measure(distances),
        peft_config=LoraConfig(r=16, lora_alpha=16, target_modules="all-linear"),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(f"{options.out}/adapter")
    for line in trainer.state.log_history:
        if "diversity" in line:
            print(
                f"step {line['step']:4}: loss {line['loss']:.3f}  D {line['diversity']:.3f}  valid {line['valid']:.2f}"
            )


if __name__ == "__main__":
    main()
