"""What can be wrong with an arm's samples before any metric is read: drawn twice, cut off, empty, copied,
without a program.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers.text import copies, repeats

if TYPE_CHECKING:
    import pandas as pd

MIN_PROMPTS = 5  # fewer can be answered alike by chance
_STREAM = ["seed", "temperature", "sample"]


def audit_samples(
    stacked: pd.DataFrame, records: Sequence[Record], passes: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Counts over an arm's samples, and warnings about what should never happen.

    Args:
        stacked: as `metrics.stack_samples` gives: seed (of the training), prompt_id, temperature, sample,
            draw_seed, text, finish.
        records: the prompts that were sampled for.
        passes: the arm's verdicts; `extraction_failures` is counted from their statuses.

    Returns:
        {"samples", "empty", "truncated", "copied", "repetitive", "extraction_failures", "duplicate_streams"
        (streams that repeat another one text for text over all prompts), "shared_draw_seeds" (draws whose
        random seed another draw had), "warnings"}.

    Raises:
        StudyError: a sample of a prompt that is not among the records.
    """
    prompts = {record.id: record.prompt for record in records}
    unknown = set(stacked["prompt_id"]) - prompts.keys()
    if unknown:
        raise StudyError(f"samples of prompt {min(unknown)!r}, not one of the test part. Delete them and re-run.")
    twins = duplicate_streams({"": stacked})
    shared = int(stacked["draw_seed"].duplicated().sum())
    warnings = [f"The samples of {_name(b)} repeat those of {_name(a)} on every prompt." for a, b in twins]
    if shared:
        warnings.append(f"{shared} draws used a random seed that another draw had used.")
    texts = list(zip(stacked["prompt_id"], stacked["text"], strict=True))
    return {
        "samples": len(stacked),
        "empty": sum(not text.strip() for _, text in texts),
        "truncated": int((stacked["finish"] == "length").sum()),
        "copied": sum(copies(text, prompts[prompt_id]) for prompt_id, text in texts),
        "repetitive": sum(map(repeats, stacked["text"])),
        "extraction_failures": 0 if passes is None else int((passes["status"] == "extraction").sum()),
        "duplicate_streams": len(twins),
        "shared_draw_seeds": shared,
        "warnings": warnings,
    }


def duplicate_streams(arms: Mapping[str, pd.DataFrame]) -> list[tuple[tuple, tuple]]:
    """Streams that repeat an earlier one: ((arm, seed, temperature, sample) of the first, of the repetition).

    A stream is what one training seed wrote as its n-th sample at one temperature, over all prompts: two
    that are equal text for text were not drawn independently. Arms with fewer than MIN_PROMPTS prompts are
    not looked at.

    arms: per arm the samples as `metrics.stack_samples` gives them.
    """
    first: dict[bytes, tuple] = {}
    found = []
    for arm, frame in arms.items():
        if frame["prompt_id"].nunique() < MIN_PROMPTS:
            continue
        for key, stream in frame.sort_values("prompt_id", kind="stable").groupby(_STREAM, sort=True):
            digest = hashlib.blake2b(digest_size=16)
            for prompt_id, text in zip(stream["prompt_id"], stream["text"], strict=True):
                digest.update(f"{prompt_id}\x1f{text}\x1e".encode("utf-8", "surrogatepass"))
            name = (arm, *key)
            if (known := first.setdefault(digest.digest(), name)) != name:
                found.append((known, name))
    return found


def status_counts(passes: pd.DataFrame) -> dict[str, int]:
    """How many samples ended in each status, most frequent first."""
    return dict(Counter(passes["status"]).most_common())


def _name(stream: tuple) -> str:
    arm, seed, temperature, sample = stream
    return f"{arm + ', ' if arm else ''}seed {seed}, temperature {temperature:g}, sample {sample}"
