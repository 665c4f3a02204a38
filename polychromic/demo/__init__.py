"""The embedded world: synthetic corpora with the mess of real ones, and a tiny Qwen3 trained on a broad one.

It exists so that the whole study runs from nothing on a laptop, as a positive control (`skewed`) and a null
control (`matched`). It is no evidence about real data or large models.
"""

from __future__ import annotations

from pathlib import Path

from polychromic.demo.broad import write_broad
from polychromic.demo.raw import write_raw

__all__ = ["train_base", "write_broad", "write_raw"]


def train_base(corpus: str | Path, out: str | Path, seed: int = 0, **settings: float) -> dict[str, float]:
    """See `polychromic.demo.base.train_base`; torch is imported only when it is called."""
    from polychromic.demo import base

    return base.train_base(corpus, out, seed, **settings)
