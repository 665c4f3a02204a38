"""Checks of an arm's samples before any metric is read: drawn twice, truncated, empty, copied, without a program."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polychromic.errors import StudyError
from polychromic.metrics.text_checks import copies, repeats
from polychromic.records import Record

if TYPE_CHECKING:
    import pandas as pd

MIN_PROMPTS = 5  # fewer can be answered alike by chance
MAX_CHANCE = 1e-9  # of two independent streams being equal; above it equal streams prove nothing

Stream = tuple[int, float, int]
"""(training seed, temperature, sample): the n-th samples of all prompts, of one seed and temperature."""


def audit_samples(
    stacked: pd.DataFrame, records: Sequence[Record], passes: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Counts over an arm's samples, and warnings of what should never happen.

    Args:
        stacked: as `metrics.stack_samples` gives: seed (of the training), prompt_id, temperature, sample,
            draw_seed, text, finish.
        records: the prompts that were sampled for.
        passes: the arm's verdicts; `statuses`, `extraction_failures` and `unjudged` are counted from them.

    Returns:
        {"samples", "empty", "truncated", "copied", "repetitive", "extraction_failures", "unjudged" (the judge's
        reply could not be read), "duplicate_streams" (streams equal to an earlier one on all prompts),
        "shared_draw_seeds" (draws with a random seed used before), "statuses" (samples by verdict), "warnings",
        "streams" ({stream: digest}, for `repeated_between`)}.

    Raises:
        StudyError: a sample of a prompt that is not among the records.
    """
    prompts = {record.id: record.prompt for record in records}
    unknown = set(stacked["prompt_id"]) - prompts.keys()
    if unknown:
        raise StudyError(f"samples of prompt {min(unknown)!r}, not one of the test part. Delete them and re-run.")
    digests, chance = stream_digests(stacked), chance_of_equality(stacked)
    different = Counter((seed, temperature) for seed, temperature, _ in {v: k for k, v in digests.items()}.values())
    # Two streams of near-certain answers may be equal by chance, but hardly all of them.
    telling = {cell for cell, value in chance.items() if value < MAX_CHANCE or different[cell] <= 1}
    twins = [(a, b) for a, b in duplicate_streams(digests) if b[:2] in telling]
    shared = int(stacked["draw_seed"].duplicated().sum())
    warnings = [f"The samples of {_name(b)} repeat those of {_name(a)} on every prompt." for a, b in twins]
    if shared:
        warnings.append(f"{shared} draws used a random seed that another draw had used.")
    texts = list(zip(stacked["prompt_id"], stacked["text"], strict=True))
    statuses = Counter(() if passes is None else passes["status"])
    return {
        "samples": len(stacked),
        "empty": sum(not text.strip() for _, text in texts),
        "truncated": int((stacked["finish"] == "length").sum()),
        "copied": sum(copies(text, prompts[prompt_id]) for prompt_id, text in texts),
        "repetitive": sum(map(repeats, stacked["text"])),
        "extraction_failures": statuses["extraction"],
        "unjudged": statuses["unjudged"],
        "duplicate_streams": len(twins),
        "shared_draw_seeds": shared,
        "statuses": dict(statuses.most_common()),
        "warnings": warnings,
        "streams": {_name(stream): value for stream, value in digests.items() if chance[stream[:2]] < MAX_CHANCE},
    }


def stream_digests(stacked: pd.DataFrame) -> dict[Stream, str]:
    """A digest of every stream's texts over all prompts; {} for fewer than MIN_PROMPTS prompts."""
    if stacked["prompt_id"].nunique() < MIN_PROMPTS:
        return {}
    found = {}
    in_order = stacked.sort_values("prompt_id", kind="stable")
    for stream, rows in in_order.groupby(["seed", "temperature", "sample"], sort=True):
        digest = hashlib.blake2b(digest_size=16)
        for prompt_id, text in zip(rows["prompt_id"], rows["text"], strict=True):
            digest.update(f"{prompt_id}\x1f{text}\x1e".encode("utf-8", "surrogatepass"))
        found[stream] = digest.hexdigest()
    return found


def duplicate_streams(digests: Mapping[Stream, str]) -> list[tuple[Stream, Stream]]:
    """(earlier stream, repetition) of an arm: not drawn independently, or the arm has one answer to everything."""
    first: dict[str, Stream] = {}
    return [(first[value], stream) for stream, value in digests.items() if first.setdefault(value, stream) != stream]


def chance_of_equality(stacked: pd.DataFrame) -> dict[tuple[int, float], float]:
    """Probability that two independent streams of a (seed, temperature) are equal on every prompt.

    The product over prompts of (equal pairs + 1) / (pairs + 1) among the prompt's samples; large for short or
    near-certain answers.
    """
    chance: dict[tuple[int, float], float] = {}
    for (seed, temperature, _), texts in stacked.groupby(["seed", "temperature", "prompt_id"], sort=True)["text"]:
        equal = sum(math.comb(count, 2) for count in Counter(texts).values())
        here = (equal + 1) / (math.comb(len(texts), 2) + 1)
        chance[seed, temperature] = chance.get((seed, temperature), 1.0) * here
    return chance


def repeated_between(arms: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Streams of an arm that repeat one of an earlier arm: {(earlier arm, arm): [(its stream, the arm's)]}.

    Every arm draws with its own random seeds, so even arms of equal weights differ. arms: the "streams" of each
    arm's audit.
    """
    first: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for arm, streams in arms.items():
        for name, digest in streams.items():
            earlier, its_name = first.setdefault(digest, (arm, name))
            if earlier != arm:
                found.setdefault((earlier, arm), []).append((its_name, name))
    return found


def _name(stream: Stream) -> str:
    seed, temperature, sample = stream
    return f"seed {seed}, temperature {temperature:g}, sample {sample}"
