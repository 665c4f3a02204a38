"""Which of two answers is better? Pairwise preference of an arm against the control arm.

Every pair is shown in both orders. A verdict counts only if both orders agree; a flip, the mark of a judge
who prefers a place rather than an answer, is a tie (Zheng et al. 2023, arXiv 2306.05685, section 3.4).
Judges also prefer the longer answer, so the words of both are kept and `winrate` controls for them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from polychromic.errors import StudyError
from polychromic.metrics.judge_clients import Client
from polychromic.metrics.words import bleu_tokens
from polychromic.records import Record
from polychromic.seeds import derive_seed

Encode = Callable[[Sequence[str]], np.ndarray]
MAX_OBJECTS = 20  # JSON objects that are looked for in a reply

COMPARE = """You compare two answers to the same task. Judge how well each does what the task asks: right,
fitting, clear, and complete without padding. A longer answer is not better for its length, and the order of
the two means nothing.

<task>
{prompt}
</task>

<answer_1>
{first}
</answer_1>

<answer_2>
{second}
</answer_2>

Give your reason in one sentence, then the verdict: "1" if answer 1 is better, "2" if answer 2 is better,
"tie" if neither is."""
COMPARE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "verdict": {"type": "string", "enum": ["1", "2", "tie"]}},
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
GRADE = """You grade an answer to a task. Accepted answers are given as examples; others can be as good.

<task>
{prompt}
</task>

<accepted>
{references}
</accepted>

<answer>
{answer}
</answer>

Give your reason in one sentence, then the grade: 0 (useless) to 10 (as good as the accepted answers)."""
GRADE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "grade": {"type": "integer", "enum": list(range(11))}},
    "required": ["reason", "grade"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Pair:
    """Two answers to a prompt, in the order in which the judge sees them."""

    prompt: str
    references: tuple[str, ...]
    first: str
    second: str


class Judge(Protocol):
    name: str

    def verdicts(self, pairs: Sequence[Pair]) -> list[str | None]:
        """ "1", "2" or "tie" for each pair; None where the judge's reply cannot be read."""
        ...


@dataclass(frozen=True)
class ReferenceSimilarity:
    """The offline stand-in for a judge: the answer nearer to a reference wins. It knows nothing about
    quality beyond that, and no request leaves the machine.

    encode: texts to unit vectors. margin: cosines that are closer than this are a tie.
    """

    encode: Encode
    margin: float = 0.02
    name: str = "reference-similarity"

    def verdicts(self, pairs: Sequence[Pair]) -> list[str | None]:
        texts = sorted({text for pair in pairs for text in (pair.first, pair.second, *pair.references)})
        vectors = dict(zip(texts, self.encode(texts), strict=True)) if texts else {}
        return [self._verdict(pair, vectors) for pair in pairs]

    def _verdict(self, pair: Pair, vectors: dict[str, np.ndarray]) -> str:
        if not pair.references:
            raise StudyError(f"judge {self.name}: no reference for {pair.prompt[:80]!r}. Remove the row.")
        first, second = (
            max(float(vectors[text] @ vectors[other]) for other in pair.references)
            for text in (pair.first, pair.second)
        )
        if not math.isfinite(first - second):
            raise StudyError(f"judge {self.name}: NaN embeddings of {pair.first[:80]!r}: use another model")
        if abs(first - second) < self.margin:
            return "tie"
        return "1" if first > second else "2"


@dataclass(frozen=True)
class ModelJudge:
    """A language model asked through `judge_clients.Client`."""

    client: Client

    @property
    def name(self) -> str:
        return self.client.name

    def estimate(self, pairs: Sequence[Pair]) -> float:
        """Dollars at most for these pairs."""
        return self.client.estimate([_compare(pair) for pair in pairs], COMPARE_SCHEMA)

    def verdicts(self, pairs: Sequence[Pair]) -> list[str | None]:
        asked = [_compare(pair) for pair in pairs]
        return [_read_verdict(reply) for reply in self.client.ask(asked, COMPARE_SCHEMA, _is_verdict)]

    def grades(self, answers: Sequence[tuple[str, str, Sequence[str]]]) -> list[float]:
        """How good each (prompt, answer, accepted answers) is, in [0, 1]; NaN where the reply cannot be read.
        For `verifiers.make_verifier`."""
        asked = [
            GRADE.format(prompt=prompt, answer=answer, references="\n".join(accepted))
            for prompt, answer, accepted in answers
        ]
        grades = [_read_grade(reply) for reply in self.client.ask(asked, GRADE_SCHEMA, _is_grade)]
        return [math.nan if grade is None else grade / 10 for grade in grades]


def judge_arm(
    samples_arm: pd.DataFrame,
    samples_control: pd.DataFrame,
    records: Sequence[Record],
    judge: Judge,
    seed: int,
    *,
    temperature: float = 0.7,
    prompts: int | None = None,
) -> pd.DataFrame:
    """One comparison per (training seed, prompt): a sample of the arm against one of the control.

    samples_*: from `metrics.stack_samples`; the sample is picked by a seed derived from (seed, training seed,
    prompt), the same position for every arm. prompts: how many, picked by `seed`; all by default.

    Returns columns seed, prompt_id, winner, first, second, length_arm, length_control, parse_failures, judge (its
    name): `first` is the verdict of the order in which the arm comes first, `second` that of the other, each
    "arm", "control", "tie" or missing where the reply cannot be read; `winner` is missing where either is.
    Lengths are in words. Equal answers are a tie without asking.

    Raises:
        StudyError: the two frames do not hold the same seeds and prompts at this temperature.
    """
    by_id = {record.id: record for record in records}
    arm, control = (_picked(frame, seed, temperature) for frame in (samples_arm, samples_control))
    if arm.keys() != control.keys():
        alone = sorted(arm.keys() ^ control.keys())[0]
        raise StudyError(f"only one of the two arms has samples of seed {alone[0]}, prompt {alone[1]!r}")
    unknown = sorted({prompt for _, prompt in arm} - by_id.keys())
    if unknown:
        raise StudyError(f"samples of {len(unknown)} prompts that are in no record, the first: {unknown[0]!r}")
    chosen = sorted({prompt for _, prompt in arm}, key=lambda prompt: derive_seed(seed, "judge", prompt))[:prompts]
    keys = sorted(key for key in arm if key[1] in set(chosen))
    asked = [key for key in keys if arm[key] != control[key]]
    pairs = []
    for key in asked:
        record = by_id[key[1]]
        references = tuple(text for text in record.references or (record.target,) if text.strip())
        pairs.append(Pair(record.prompt, references, arm[key], control[key]))
        pairs.append(Pair(record.prompt, references, control[key], arm[key]))
    verdicts = judge.verdicts(pairs)
    ahead = [{"1": "arm", "2": "control", "tie": "tie", None: None}[verdict] for verdict in verdicts[::2]]
    behind = [{"1": "control", "2": "arm", "tie": "tie", None: None}[verdict] for verdict in verdicts[1::2]]
    seen = dict(zip(asked, zip(ahead, behind, strict=True), strict=True))
    rows = []
    for key in keys:
        first, second = seen.get(key, ("tie", "tie"))
        rows.append(
            {
                "seed": key[0],
                "prompt_id": key[1],
                "winner": _winner(first, second),
                "first": first,
                "second": second,
                "length_arm": len(bleu_tokens(arm[key])),
                "length_control": len(bleu_tokens(control[key])),
                "parse_failures": (first is None) + (second is None),
                "judge": judge.name,
            }
        )
    return pd.DataFrame(rows)


def _picked(samples: pd.DataFrame, seed: int, temperature: float) -> dict[tuple[int, str], str]:
    """{(training seed, prompt id): the text of the sample chosen for it}."""
    at = samples[samples["temperature"] == temperature].sort_values("sample")
    return {
        (train_seed, prompt): texts.iloc[derive_seed(seed, "judge", train_seed, prompt) % len(texts)]
        for (train_seed, prompt), texts in at.groupby(["seed", "prompt_id"], sort=True)["text"]
    }


def _winner(first: str | None, second: str | None) -> str | None:
    if first is None or second is None:
        return None
    return first if first == second else "tie"


def _compare(pair: Pair) -> str:
    return COMPARE.format(prompt=pair.prompt, first=pair.first, second=pair.second)


def _is_verdict(reply: str) -> bool:
    return _read_verdict(reply) is not None


def _is_grade(reply: str) -> bool:
    return _read_grade(reply) is not None


def _read_verdict(reply: str) -> str | None:
    value = _field(reply, "verdict")
    verdict = str(value).strip().lower() if type(value) in (str, int) else None
    return verdict if verdict in ("1", "2", "tie") else None


def _read_grade(reply: str) -> int | None:
    value = _field(reply, "grade")
    if type(value) is str and value.strip().isdecimal() and len(value) < 4:
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= 10 else None


def _field(reply: str, field: str) -> Any:
    """A field of the reply's JSON; where it is not JSON as a whole, of the JSON in it (fenced, behind prose), or a
    bare value. None where there is none, or where several differ: nonsense is counted, not guessed at.
    """
    reply = reply.strip()
    try:
        whole = json.loads(reply)
    except (ValueError, RecursionError):
        whole = None
    if whole is not None:
        return whole.get(field) if type(whole) is dict else whole
    if reply.isalpha():  # a bare word
        return reply
    decoder, found, at = json.JSONDecoder(), [], reply.find("{")
    for _ in range(MAX_OBJECTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(reply, at)
        except (ValueError, RecursionError):
            value, end = None, at + 1
        if type(value) is dict and field in value:
            found.append(value[field])
        at = reply.find("{", end)
    return found[0] if found and all(value == found[0] for value in found) else None
