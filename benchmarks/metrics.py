"""How long do the metrics of one arm take, and does the time grow with the samples alone?

    python -m benchmarks.metrics [--prompts 100] [--samples 10]

Draws texts of 8 to 25 words, a third of them repeated, and times what an arm needs: BERTScore and the vectors
(one pass of the encoder a text), then the two tables. The model is loaded before. The last line is one JSON
object with the same figures.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

from polychromic import metrics
from polychromic.embedding import Encoder
from polychromic.records import Record

WORDS = """the a cat dog bird old young small red blue walks runs sings sleeps waits in on under behind house
garden river street table morning evening quickly slowly never always because when if not very good bad new
night day child woman man teacher friend letter book door window answer question finds gives takes sees"""
TARGET_SECONDS = 10.0


def drawn(prompts: int, samples: int, seed: int = 0) -> tuple[pd.DataFrame, list[Record]]:
    """An arm's samples with verdicts, and the records."""
    rng = random.Random(seed)
    words = WORDS.split()

    def text() -> str:
        return " ".join(rng.choices(words, k=rng.randint(8, 25)))

    records = [Record(id=f"p{i}", prompt="", target=text(), references=(text(), text())) for i in range(prompts)]
    rows = []
    for record in records:
        texts: list[str] = []
        for _ in range(samples):
            texts.append(rng.choice(texts) if texts and rng.random() < 1 / 3 else text())
        rows += [
            {
                "seed": 42, "prompt_id": record.id, "temperature": 0.7, "sample": i, "text": text,
                "passed": rng.random() < 0.5, "label": text[:3],
            }
            for i, text in enumerate(texts)
        ]  # fmt: skip
    return pd.DataFrame(rows), records


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--samples", type=int, default=10)
    arguments = parser.parse_args()
    samples, records = drawn(arguments.prompts, arguments.samples)
    encoder = Encoder()
    loading, _ = seconds(lambda: encoder.encode(["warm"]))
    timed, cpu = {}, time.process_time()
    timed["bertscore"], scores = seconds(lambda: metrics.bertscore_table(samples, records, (0.7,), encoder))
    timed["embeddings"], _ = seconds(lambda: encoder.encode(samples["text"].tolist()))
    timed["diversity"], _ = seconds(lambda: metrics.diversity_table(samples, records, encoder.encode, labelled=True))
    timed["quality"], _ = seconds(lambda: metrics.quality_table(samples, records, bertscores=scores, answers=True))
    total, cpu = sum(timed.values()), time.process_time() - cpu

    sizes = [drawn(n, arguments.samples, seed=1) for n in (50, 500)]
    small, large = (seconds(lambda size=size: metrics.diversity_table(*size, None, labelled=True))[0] for size in sizes)
    growth = large / small
    different = samples["text"].nunique()

    print(f"{arguments.prompts} prompts x {arguments.samples} samples, {different} different texts")
    for name, value in timed.items():
        print(f"  {name:<12}{value:8.2f} s")
    print(f"  {'all':<12}{total:8.2f} s   (target {TARGET_SECONDS:.0f} s; {cpu:.1f} s of CPU time)")
    print(f"loading the encoder: {loading:.1f} s")
    print(f"ten times the prompts take {growth:.1f} times as long (surface metrics)")
    print(json.dumps({
        "benchmark": "metrics", "prompts": arguments.prompts, "samples": arguments.samples,
        "different_texts": different, "seconds": timed, "total_seconds": total, "cpu_seconds": cpu,
        "target_seconds": TARGET_SECONDS, "met": total < TARGET_SECONDS, "load_seconds": loading,
        "growth_10x": growth,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
